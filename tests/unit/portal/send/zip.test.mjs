import assert from "node:assert/strict";
import { openAsBlob, readFileSync } from "node:fs";
import { test } from "node:test";
import { isDiscImage, listDisc } from "../../../../services/portal/static/send/iso.js";
import { head, open } from "../../../../services/portal/static/send/sources.js";
import { listZip } from "../../../../services/portal/static/send/zip.js";

const { zip, encrypted, iso, members } = JSON.parse(process.env.ARCHIVES_EXPECTED);

async function check(listed) {
  assert.deepEqual(listed.map((one) => one.path).sort(), Object.keys(members).sort());
  for (const source of listed) {
    const wanted = Buffer.from(members[source.path], "latin1");
    assert.equal(source.size, wanted.length);
    assert.deepEqual(Buffer.from(await (await open(source)).arrayBuffer()), wanted, source.path);
    assert.deepEqual(Buffer.from(await head(source, 3)), wanted.subarray(0, 3));
  }
}

test("members of a ZIP are read out of it, stored and deflated", async () => {
  await check(await listZip(await openAsBlob(zip)));
});

test("files of a disc image are slices of it", async () => {
  const file = await openAsBlob(iso);
  assert.ok(await isDiscImage(file));
  await check(await listDisc(file));
});

test("what can't be read here is sent as it is", async () => {
  assert.equal(await listZip(await openAsBlob(encrypted)), null);
  assert.equal(await listZip(new Blob(["no zip at all, but long enough to look for an end record"])), null);
  const cut = readFileSync(zip);
  assert.equal(await listZip(new Blob([cut.subarray(0, cut.length - 30)])), null);
});
