// A source is one file to send, wherever its bytes lie: a file of its own, or a part of a ZIP or disc
// image. Plain data, so that it can be handed to workers; nothing is read before it is opened.
//
// {path, size, file, at, packed, method}: `at` is where its bytes begin in `file`; `local` instead, where
// a ZIP's local header does. method "deflate": `packed` bytes inflate to `size`.

export function ofFile(path, file) {
  return { path, size: file.size, file, at: 0, packed: file.size, method: "" };
}

// What two choices of the same folder have in common.
export function keyOf(source) {
  return `${source.path}\n${source.size}\n${source.file.lastModified}`;
}

async function packedSlice(source) {
  let at = source.at;
  if (source.local !== undefined) {
    const header = new DataView(await source.file.slice(source.local, source.local + 30).arrayBuffer());
    if (header.byteLength < 30 || header.getUint32(0, true) !== 0x04034b50) throw new DamagedError(source.path);
    at = source.local + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  }
  return at === 0 && source.packed === source.file.size ? source.file : source.file.slice(at, at + source.packed);
}

export class DamagedError extends Error {}

// All of it as a Blob: the File itself where that is it. A file's own bytes are not read for that; what is
// packed is inflated.
export async function open(source) {
  const slice = await packedSlice(source);
  if (source.method !== "deflate") return slice;
  let blob;
  try {
    blob = await new Response(slice.stream().pipeThrough(new DecompressionStream("deflate-raw"))).blob();
  } catch (error) {
    if (error.name === "NotReadableError" || error.name === "NotFoundError") throw error;
    throw new DamagedError(source.path);
  }
  if (blob.size !== source.size) throw new DamagedError(source.path);
  return blob;
}

// Its first bytes, at most `count` of them.
export async function head(source, count) {
  const slice = await packedSlice(source);
  if (source.method !== "deflate") return new Uint8Array(await slice.slice(0, count).arrayBuffer());
  return firstBytes(slice.stream().pipeThrough(new DecompressionStream("deflate-raw")), count);
}

// From `begin` to `end`, for a source that may be packed.
export async function range(source, begin, end) {
  if (source.method === "deflate") return (await head(source, end)).subarray(begin, end);
  const slice = await packedSlice(source);
  return new Uint8Array(await slice.slice(begin, end).arrayBuffer());
}

// What a stream gives until `count` bytes are there, it ends, or it breaks.
export async function firstBytes(stream, count) {
  const reader = stream.getReader(), pieces = [];
  let size = 0;
  try {
    while (size < count) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
    }
  } catch { /* what came before is still of use */ }
  reader.cancel().catch(() => {});
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) { whole.set(piece, at); at += piece.length; }
  return whole.subarray(0, count);
}
