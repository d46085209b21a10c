import assert from "node:assert/strict";
import { test } from "node:test";
import { add, emptyFound, fits, indexCheck, patientKey } from "../../../../services/portal/static/send/grouping.js";
import { kindOf, sortRest } from "../../../../services/portal/static/send/sorting.js";

const bytes = (text) => new TextEncoder().encode(text);
const file = (path, kind) => ({ kind, source: { path, size: 1 } });

test("files are known by their content", () => {
  assert.equal(kindOf(bytes("%PDF-1.7 …"), "x.bin", 9), "pdf");
  assert.equal(kindOf(new Uint8Array([0x4d, 0x5a, 0, 0]), "IM0001", 4), "program");
  assert.equal(kindOf(new Uint8Array([0xff, 0xd8, 0xff, 0xe0]), "photo", 4), "photo");
  assert.equal(kindOf(bytes('<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">'), "a.xml", 60), "cda");
  assert.equal(kindOf(bytes("[autorun]"), "AUTORUN.INF", 9), "helper");
  assert.equal(kindOf(bytes(""), "IM1", 0), "empty");
  assert.equal(kindOf(bytes("PK\u0003\u0004"), "disc.zip", 4), "zip");
  assert.equal(kindOf(bytes("PK\u0003\u0004"), "letter.docx", 4), "office");
});

test("a disc's viewer is left out, a report goes along", () => {
  const sorted = sortRest([file("CD/Report.pdf", "pdf"), file("CD/start.exe", "program"), file("CD/VIEWER/x.dll", "program"),
    file("CD/VIEWER/help/logo.png", "photo"), file("CD/VIEWER/manual.pdf", "pdf"), file("CD/README.TXT", "text"), file("CD/photos/wound.jpg", "photo")], true);
  const going = sorted.filter((one) => one.goes).map((one) => one.source.path);
  assert.deepEqual(going, ["CD/Report.pdf"]);
});

test("without a viewer, photos and texts go along", () => {
  assert.ok(sortRest([file("photos/wound.jpg", "photo"), file("film.mp4", "video")], true).every((one) => one.goes));
  assert.ok(sortRest([file("note.txt", "text")], false)[0].goes);
});

test("the same person is the same, however the name is written", () => {
  const key = (name, birth = "19620314") => patientKey({ name, birth, id: "" });
  assert.equal(key("Ødegård^Sigrid"), key("ODEGARD^SIGRID"));
  assert.equal(key("Morgan^Alexandra^^"), key("MORGAN, ALEXANDRA".replace(", ", "^")));
  assert.notEqual(key("Morgan^Alexandra"), key("Morgan^Alexander"));
  assert.notEqual(key("Morgan^Alexandra"), key("Morgan^Alexandra", "19910703"));
});

test("what the sender typed fits or does not", () => {
  const patient = { name: "Müller^Jörg", birth: "19620314", id: "88-1203" };
  for (const typed of ["Müller", "mueller", "Jörg Müller", "14 Mar 1962", "14.3.1962", "Muller 1962", "88-1203"]) assert.ok(fits(typed, patient), typed);
  for (const typed of ["Meyer", "Müller 1963", "Morgan, Alexandra"]) assert.ok(!fits(typed, patient), typed);
});

test("a disc's index is held against what is here", () => {
  const found = emptyFound(), image = (path, n) => add(found, { path, size: 5 }, { kind: "dicom", patient: { name: "A", birth: "", id: "" }, study: { uid: "1", date: "", text: "" }, series: { uid: "2", number: 1, modality: "CT", text: "" }, number: n });
  image("CD/IMAGES/I1", 1);
  image("CD/IMAGES/I2.dcm", 2);
  add(found, { path: "CD/DICOMDIR", size: 9 }, { kind: "directory", lists: ["IMAGES/I1", "IMAGES/I2", "IMAGES/I3"] });
  assert.deepEqual(indexCheck(found), { lists: 3, here: 2 });
});
