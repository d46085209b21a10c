// Runs as a worker: says of every file what it is, and draws previews. Bytes never leave it.

import { asNumber, asText, decoder, DEFLATED, DIRECTORY, directoryFiles, NATIVE, PIXELS, readElements, readMeta, TAG, TooShort, viewOf } from "./dicom.js";
import { draw } from "./drawing.js";
import { firstBytes, head, range } from "./sources.js";
import { kindOf } from "./sorting.js";

const HEAD = 8 << 10, LARGEST_HEAD = 32 << 20, LARGEST_DIRECTORY = 64 << 20;

addEventListener("message", async ({ data }) => {
  if (data.task === "read") {
    const results = await inParallel(data.sources, 12, readOne);
    postMessage({ id: data.id, results });
    return;
  }
  let bitmap = null;
  try { bitmap = await preview(data.source); } catch { /* a tile stands in its place */ }
  postMessage({ id: data.id, bitmap }, bitmap ? [bitmap] : []);
});

async function inParallel(items, most, work) {
  const results = new Array(items.length);
  let next = 0;
  const run = async () => { while (next < items.length) { const mine = next++; results[mine] = await work(items[mine]); } };
  await Promise.all(Array.from({ length: most }, run));
  return results;
}

async function readOne(source) {
  try {
    const start = await head(source, HEAD);
    const kind = kindOf(start, source.path, source.size);
    return kind === "dicom" ? await readDicom(source, start) : { kind };
  } catch (error) {
    return { kind: "unreadable", reason: error.name };
  }
}

async function readDicom(source, start) {
  try {
    const { elements, meta } = await elementsOf(source, start, TAG.frames + 1);
    if (meta.mediaClass === DIRECTORY) {
      const whole = source.size > LARGEST_DIRECTORY ? start : await head(source, source.size);
      return { kind: "directory", lists: directoryFiles(whole, meta.at) };
    }
    const text = decoder(elements.values), plain = (tag) => asText(elements.values.get(tag));
    if (!plain(TAG.study)) return { kind: "dicom-other" };
    return {
      kind: "dicom",
      patient: { name: text(TAG.name), id: text(TAG.patientId), issuer: text(TAG.issuer), birth: plain(TAG.birth), sex: plain(TAG.sex) },
      study: { uid: plain(TAG.study), date: plain(TAG.studyDate), text: text(TAG.studyText) },
      series: { uid: plain(TAG.series), number: asNumber(elements.values.get(TAG.seriesNumber)), modality: plain(TAG.modality), text: text(TAG.seriesText) },
      instance: plain(TAG.sopInstance),
      number: asNumber(elements.values.get(TAG.instanceNumber)) ?? 0,
    };
  } catch (error) {
    if (error.name === "NotReadableError" || error.name === "NotFoundError") throw error;
    return { kind: "dicom-other" };
  }
}

async function elementsOf(source, start, until) {
  let bytes = start, inflated = null;
  for (let wanted = HEAD; ;) {
    const meta = readMeta(bytes);
    let data = bytes, at = meta.at, total = source.size;
    if (DEFLATED.has(meta.syntax)) {
      inflated = await inflate(bytes.subarray(meta.at), wanted * 4);
      [data, at] = [inflated, 0];
      total = bytes.length >= source.size ? inflated.length : Infinity;
    }
    try {
      return { meta, bytes: data, elements: readElements(data, at, meta.syntax, until, total) };
    } catch (error) {
      if (!(error instanceof TooShort) || bytes.length >= source.size || wanted >= LARGEST_HEAD) throw error;
      wanted = Math.min(LARGEST_HEAD, Math.max(wanted * 8, inflated ? 0 : error.needed));
      bytes = await head(source, wanted);
    }
  }
}

function inflate(bytes, count) {
  return firstBytes(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")), count);
}

// A small picture of one image; null when the browser can't decode its pixels.
async function preview(source) {
  const { meta, elements } = await elementsOf(source, await head(source, HEAD * 8), PIXELS + 1);
  if (!elements.pixels) return null;
  const values = elements.values, number = (tag, otherwise) => asNumber2(values.get(tag), elements.little) ?? otherwise;
  const image = {
    rows: number(TAG.rows, 0), columns: number(TAG.columns, 0), samples: number(TAG.samples, 1), planar: number(TAG.planar, 0),
    allocated: number(TAG.allocated, 16), stored: number(TAG.stored, 16), signed: number(TAG.signed, 0) === 1, little: elements.little,
    photometric: asText(values.get(TAG.photometric)),
    center: asNumber(values.get(TAG.center)), width: asNumber(values.get(TAG.width)),
    slope: asNumber(values.get(TAG.slope)) ?? 1, intercept: asNumber(values.get(TAG.intercept)) ?? 0,
  };
  const { at, size } = elements.pixels;
  if (NATIVE.has(meta.syntax) && !DEFLATED.has(meta.syntax)) {
    const frame = image.rows * image.columns * image.samples * (image.allocated >> 3);
    const frames = asNumber(values.get(TAG.frames)) ?? 1, begin = at + frame * Math.floor(frames / 2);
    return frame > 64 << 20 ? null : draw(image, await range(source, begin, Math.min(begin + frame, at + size)));
  }
  if (meta.syntax !== "1.2.840.10008.1.2.4.50") return null;
  const jpeg = await firstFragment(source, at);
  return jpeg ? shrink(await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }))) : null;
}

async function firstFragment(source, at) {
  const table = viewOf(await range(source, at, at + 8));
  const first = at + 8 + table.getUint32(4, true), item = viewOf(await range(source, first, first + 8));
  if (item.getUint32(0, true) !== 0xe000fffe) return null;
  return range(source, first + 8, first + 8 + Math.min(item.getUint32(4, true), 32 << 20));
}

async function shrink(bitmap) {
  const scale = Math.min(1, 128 / Math.max(bitmap.width, bitmap.height));
  return createImageBitmap(bitmap, { resizeWidth: Math.max(1, Math.round(bitmap.width * scale)), resizeHeight: Math.max(1, Math.round(bitmap.height * scale)), resizeQuality: "medium" });
}

// US values, and IS or DS where a writer took those.
function asNumber2(bytes, little) {
  if (!bytes) return null;
  return bytes.length === 2 ? viewOf(bytes).getUint16(0, little) : asNumber(bytes);
}
