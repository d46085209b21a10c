import assert from "node:assert/strict";
import { test } from "node:test";
import { Tar, room } from "../../../../services/portal/static/send/tar.js";

function bytesOf(files) {
  return new Tar(files).from(0, { form: false });
}

async function read(blob) {
  return Buffer.from(await blob.arrayBuffer());
}

test("a tar holds names and bytes in whole blocks and ends with two empty ones", async () => {
  const tar = await read(bytesOf([{ name: "0/IM1", size: 3, blob: new Blob(["abc"]) }]));
  assert.equal(tar.length, 512 + 512 + 1024);
  assert.equal(tar.toString("latin1", 0, 5), "0/IM1");
  assert.equal(Number.parseInt(tar.toString("latin1", 124, 135), 8), 3);
  assert.equal(tar.toString("latin1", 512, 515), "abc");
  const sum = tar.subarray(0, 512).reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 32 : byte), 0);
  assert.equal(Number.parseInt(tar.toString("latin1", 148, 154), 8), sum);
});

test("long names and other scripts travel in pax records of the right length", async () => {
  for (const name of [`7/${"x".repeat(98)}`, `7/${"日".repeat(40)}`, `7/${"ordner/".repeat(30)}Bild Größe`]) {
    const tar = await read(bytesOf([{ name, size: 0, blob: new Blob([]) }]));
    if (name.length <= 100 && /^[\x20-\x7e]*$/.test(name)) continue;
    assert.equal(tar.toString("latin1", 156, 157), "x");
    const size = Number.parseInt(tar.toString("latin1", 124, 135), 8), record = tar.subarray(512, 512 + size);
    assert.equal(Number.parseInt(record.toString("utf8"), 10), size);
    assert.ok(record.toString("utf8").endsWith(` path=${name}\n`));
  }
});

test("the room a member takes is known before", () => {
  for (const name of ["0/IM1", `7/${"日".repeat(40)}`, `7/${"x".repeat(300)}`]) {
    for (const size of [0, 1, 512, 1000]) {
      assert.equal(new Tar([{ name, size, blob: new Blob([]) }]).size, room(name, size) + 1024);
    }
  }
});

test("the same files give the same bytes", async () => {
  const make = () => bytesOf([{ name: "3/a", size: 2, blob: new Blob(["xy"]) }, { name: "4/é", size: 1, blob: new Blob(["z"]) }]);
  assert.deepEqual(await read(make()), await read(make()));
});
