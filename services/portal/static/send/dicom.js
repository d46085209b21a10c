// The header of a DICOM file (PS3.10 7.1, PS3.5 7): as much of it as says what the file shows.

const LONG = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const SHORT = new Set(["AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"]);
const UNDEFINED = 0xffffffff, ITEM = 0xfffee000, ITEM_END = 0xfffee00d, SEQUENCE_END = 0xfffee0dd;
const IMPLICIT = "1.2.840.10008.1.2", BIG_ENDIAN = "1.2.840.10008.1.2.2";
export const DEFLATED = new Set(["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"]);
export const NATIVE = new Set([IMPLICIT, "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", BIG_ENDIAN]);
export const PIXELS = 0x7fe00010, DIRECTORY = "1.2.840.10008.1.3.10";

export const TAG = {
  syntax: 0x00020010, mediaClass: 0x00020002, charset: 0x00080005, sopClass: 0x00080016, sopInstance: 0x00080018, studyDate: 0x00080020,
  accession: 0x00080050, modality: 0x00080060, studyText: 0x00081030, seriesText: 0x0008103e, name: 0x00100010,
  patientId: 0x00100020, issuer: 0x00100021, birth: 0x00100030, sex: 0x00100040, study: 0x0020000d, series: 0x0020000e,
  seriesNumber: 0x00200011, instanceNumber: 0x00200013, samples: 0x00280002, photometric: 0x00280004, planar: 0x00280006,
  frames: 0x00280008, rows: 0x00280010, columns: 0x00280011, allocated: 0x00280100, stored: 0x00280101, high: 0x00280102,
  signed: 0x00280103, center: 0x00281050, width: 0x00281051, intercept: 0x00281052, slope: 0x00281053,
};
const WANTED = new Set(Object.values(TAG));

// The bytes end before the header does: read `needed` and try again.
export class TooShort extends Error {
  constructor(needed) { super("more bytes are needed"); this.needed = needed; }
}

export function looksLikeDicom(bytes) {
  if (bytes.length >= 132 && bytes[128] === 68 && bytes[129] === 73 && bytes[130] === 67 && bytes[131] === 77) return true;
  if (bytes.length < 16) return false;
  const view = viewOf(bytes), group = view.getUint16(0, true), element = view.getUint16(2, true);
  if ((group !== 8 && group !== 2) || element > 0x18) return false;
  const vr = String.fromCharCode(bytes[4], bytes[5]);
  return LONG.has(vr) || SHORT.has(vr) || (view.getUint32(4, true) <= 128 && view.getUint32(4, true) % 2 === 0);
}

// Where the data set begins, and how it is written.
export function readMeta(bytes) {
  let at = bytes.length >= 132 && bytes[128] === 68 && bytes[131] === 77 ? 132 : 0;
  const values = new Map();
  if (viewOf(bytes).getUint16(at, true) === 2) {
    at = walk(bytes, at, { explicit: true, little: true, until: 0x00030000, values, total: Infinity, group: 2 }).at;
  }
  let syntax = asText(values.get(TAG.syntax));
  if (!syntax) {
    const vr = String.fromCharCode(bytes[at + 4], bytes[at + 5]);
    syntax = LONG.has(vr) || SHORT.has(vr) ? "1.2.840.10008.1.2.1" : IMPLICIT;
  }
  return { at, syntax, mediaClass: asText(values.get(TAG.mediaClass)) };
}

// Elements up to the pixels or `until`. {values: Map of tag to bytes, pixels?: {at, size}}. Raises TooShort
// when `bytes` (of a data set `total` long) end before.
export function readElements(bytes, at, syntax, until, total) {
  const values = new Map();
  const options = { explicit: syntax !== IMPLICIT, little: syntax !== BIG_ENDIAN, until, values, total };
  return { values, little: options.little, ...walk(bytes, at, options) };
}

function walk(bytes, at, { explicit, little, until, values, total, group }) {
  const view = viewOf(bytes);
  while (at < total) {
    if (at + 12 > bytes.length) {
      if (bytes.length >= total) break;
      throw new TooShort(at + 4096);
    }
    const element = elementAt(view, bytes, at, explicit, little);
    if (element.tag >= until || (group && element.tag >> 16 !== group)) break;
    if (element.tag === PIXELS) return { at, pixels: { at: element.value, size: element.size } };
    if (element.size === UNDEFINED) {
      at = skipSequence(view, bytes, element.value, explicit, little, total, 0);
      continue;
    }
    const end = element.value + element.size;
    if (WANTED.has(element.tag)) {
      if (end > bytes.length) {
        if (bytes.length >= total) break;
        throw new TooShort(end + 4096);
      }
      values.set(element.tag, bytes.subarray(element.value, end));
    }
    at = end;
  }
  return { at };
}

function elementAt(view, bytes, at, explicit, little) {
  const tag = view.getUint16(at, little) * 0x10000 + view.getUint16(at + 2, little);
  if (!explicit || tag >= 0xfffe0000) return { tag, value: at + 8, size: view.getUint32(at + 4, little) };
  const vr = String.fromCharCode(bytes[at + 4], bytes[at + 5]);
  if (LONG.has(vr)) return { tag, value: at + 12, size: view.getUint32(at + 8, little) };
  return { tag, value: at + 8, size: view.getUint16(at + 6, little) };
}

function skipSequence(view, bytes, at, explicit, little, total, depth) {
  if (depth > 30) throw new RangeError("sequences nested too deeply");
  for (;;) {
    if (at + 12 > bytes.length) {
      if (bytes.length >= total) return total;
      throw new TooShort(at + 4096);
    }
    const element = elementAt(view, bytes, at, explicit, little);
    if (element.tag === SEQUENCE_END || (depth % 2 && element.tag === ITEM_END)) return element.value;
    if (element.size === UNDEFINED) {
      const inside = element.tag === ITEM ? depth - (depth % 2) + 1 : depth - (depth % 2) + 2;
      at = skipSequence(view, bytes, element.value, explicit, little, total, inside);
    } else at = element.value + element.size;
  }
}

// What a DICOMDIR lists (PS3.3 F.3): the file ids of all its records, as paths.
export function directoryFiles(bytes, at) {
  const view = viewOf(bytes), found = [];
  while (at + 12 <= bytes.length) {
    const { tag, value, size } = elementAt(view, bytes, at, true, true);
    const container = tag === ITEM || tag === ITEM_END || tag === SEQUENCE_END || String.fromCharCode(bytes[at + 4], bytes[at + 5]) === "SQ";
    if (container) { at = value; continue; }
    if (tag === 0x00041500) found.push(asText(bytes.subarray(value, value + size)).replaceAll("\\", "/"));
    at = value + (size === UNDEFINED ? 0 : size);
  }
  return found;
}

const CHARSETS = {
  "": "windows-1252", "ISO_IR 6": "windows-1252", "ISO_IR 100": "windows-1252", "ISO_IR 101": "iso-8859-2", "ISO_IR 109": "iso-8859-3",
  "ISO_IR 110": "iso-8859-4", "ISO_IR 144": "iso-8859-5", "ISO_IR 127": "iso-8859-6", "ISO_IR 126": "iso-8859-7",
  "ISO_IR 138": "iso-8859-8", "ISO_IR 148": "windows-1254", "ISO_IR 13": "shift_jis", "ISO_IR 166": "windows-874", "ISO_IR 192": "utf-8",
  GB18030: "gb18030", GBK: "gbk", "ISO 2022 IR 87": "iso-2022-jp", "ISO 2022 IR 159": "iso-2022-jp", "ISO 2022 IR 149": "euc-kr", "ISO 2022 IR 58": "gb18030",
};

// Decodes the texts of one data set by its Specific Character Set.
export function decoder(values) {
  const terms = asText(values.get(TAG.charset)).split("\\").map((term) => term.trim());
  const strong = terms.find((term) => /IR (87|159|149|58)$/.test(term)) ?? terms[0];
  const label = CHARSETS[strong] ?? CHARSETS[strong.replace("ISO 2022 IR", "ISO_IR")] ?? "windows-1252";
  const text = new TextDecoder(label);
  return (tag) => {
    const bytes = values.get(tag);
    return bytes ? text.decode(bytes).replace(/\x1b[$(-/][()@-Z]?[A-Z]?/g, "").replace(/[\0 ]+$/, "").trim() : "";
  };
}

export function asText(bytes) {
  return bytes ? String.fromCharCode(...bytes.subarray(0, 4096)).replace(/[\0 ]+$/, "").trim() : "";
}

export function asNumber(bytes) {
  const number = Number.parseFloat(asText(bytes).split("\\")[0]);
  return Number.isFinite(number) ? number : null;
}

export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
