import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { asText, decoder, directoryFiles, looksLikeDicom, readElements, readMeta, TAG, TooShort } from "../../../../services/portal/static/send/dicom.js";

const expected = JSON.parse(process.env.DICOM_EXPECTED ?? "[]");

function header(bytes, limit = bytes.length) {
  const meta = readMeta(bytes);
  for (let size = Math.min(limit, bytes.length); ;) {
    try {
      const { values } = readElements(bytes.subarray(0, size), meta.at, meta.syntax, TAG.frames + 1, bytes.length);
      const text = decoder(values);
      return { name: text(TAG.name), id: text(TAG.patientId), study: asText(values.get(TAG.study)), series: asText(values.get(TAG.series)) };
    } catch (error) {
      if (!(error instanceof TooShort) || size >= bytes.length) throw error;
      size = Math.min(bytes.length, Math.max(size * 2, error.needed));
    }
  }
}

test("headers read as another reader reads them, from however few bytes at first", () => {
  assert.ok(expected.length > 0);
  for (const { file, lists, ...fields } of expected) {
    const bytes = readFileSync(file);
    assert.ok(looksLikeDicom(bytes), file);
    if (lists) {
      assert.deepEqual(directoryFiles(bytes, readMeta(bytes).at).toSorted(), lists.toSorted(), file);
      continue;
    }
    assert.deepEqual(header(bytes), fields, file);
    assert.deepEqual(header(bytes, 700), fields, file);
  }
});

test("random damage ends in an answer or an error, never in a hang", () => {
  let seed = 7;
  const random = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; };
  for (const { file } of expected.slice(0, 6)) {
    const whole = readFileSync(file).subarray(0, 20_000);
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(whole);
      for (let i = 0; i < 8; i++) bytes[random(bytes.length)] = random(256);
      try { header(bytes); } catch (error) { assert.ok(error instanceof Error); }
    }
  }
});

test("what is no DICOM file is not taken for one", () => {
  for (const text of ["%PDF-1.4 and so on and so on", "MZ\u0090\0\u0003\0\0\0\u0004\0\0\0\0\0\0\0", "", "hello"]) {
    assert.equal(looksLikeDicom(Buffer.from(text, "latin1")), false);
  }
});
