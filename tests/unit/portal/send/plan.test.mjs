import assert from "node:assert/strict";
import { test } from "node:test";
import { batches, manifestName, member, missing, parseRanges, renderRanges } from "../../../../services/portal/static/send/plan.js";
import { Tar } from "../../../../services/portal/static/send/tar.js";
import { Pace } from "../../../../services/portal/static/send/pace.js";

const LIMITS = { batchBytes: 32 << 20, batchFiles: 512, fresh: false };

test("ranges read and written", () => {
  assert.deepEqual(parseRanges("0-3,7"), [[0, 3], [7, 7]]);
  assert.deepEqual(parseRanges(""), []);
  assert.equal(renderRanges([0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
  assert.deepEqual(missing([[0, 1], [4, 4]], 7), [2, 3, 5, 6]);
  assert.deepEqual(missing([], 3), [0, 1, 2]);
});

test("batches hold every file once, within their limits", () => {
  for (const sizes of [[], [1], Array(1300).fill(10), Array(70).fill(1 << 20), [40 << 20, 5, 5], [5, 100 << 20, 5]]) {
    for (const fresh of [true, false]) {
      const files = sizes.map((size) => ({ size, path: "a" })), all = files.map((_, i) => i);
      const made = batches(files, all, { ...LIMITS, fresh });
      assert.deepEqual(made.flatMap((batch) => batch.ordinals), all);
      for (const { ordinals, bytes } of made) {
        assert.ok(ordinals.length <= 512 && (bytes <= 32 << 20 || ordinals.length === 1));
        const tar = new Tar(ordinals.map((n) => ({ name: member(n, "a"), size: sizes[n], blob: null })));
        assert.ok(tar.size <= 32 << 20 || ordinals.length === 1);
      }
    }
  }
});

test("the first batches are small, so that there is something to look at soon", () => {
  const files = Array.from({ length: 200 }, () => ({ size: 512 << 10, path: "a" }));
  const made = batches(files, files.map((_, i) => i), { ...LIMITS, fresh: true });
  assert.deepEqual(made.slice(0, 3).map((batch) => batch.bytes), [1 << 20, 4 << 20, 16 << 20]);
});

test("the same folder has the same name, whatever the order; another file another", async () => {
  const a = [{ path: "x/1", size: 1 }, { path: "x/2", size: 2 }];
  assert.equal(await manifestName(a), await manifestName(a.toReversed()));
  assert.notEqual(await manifestName(a), await manifestName([a[0], { path: "x/2", size: 3 }]));
  assert.notEqual(await manifestName([{ ...a[0], mark: "1.2" }]), await manifestName([{ ...a[0], mark: "1.3" }]));
});

test("pace says nothing before there is something to say", () => {
  let now = 0;
  const pace = new Pace(() => now);
  pace.note(0);
  assert.equal(pace.speed, null);
  now = 1000;
  pace.note(5000);
  assert.equal(pace.speed, 5000);
});
