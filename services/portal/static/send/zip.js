// The directory at the end of a ZIP (APPNOTE 4.3.12 ff., ZIP64 too): its members as sources.

const END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50, ENTRY = 0x02014b50;
const MOST_BYTES = 64 << 20, MOST_MEMBERS = 50_000, MOST_GROWTH = 200, LARGEST_PACKED = 512 << 20;

// null for what is better sent as it is: encrypted, damaged, packed in another way or too large to inflate here.
export async function listZip(file) {
  const tailAt = Math.max(0, file.size - 65_557);
  const tail = new DataView(await file.slice(tailAt).arrayBuffer());
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) return null;
  let count = tail.getUint16(end + 10, true), size = tail.getUint32(end + 12, true), at = tail.getUint32(end + 16, true);
  if (end >= 20 && tail.getUint32(end - 20, true) === LOCATOR64) {
    const where = Number(tail.getBigUint64(end - 12, true));
    const long = new DataView(await file.slice(where, where + 56).arrayBuffer());
    if (long.byteLength < 56 || long.getUint32(0, true) !== END64) return null;
    count = Number(long.getBigUint64(32, true));
    size = Number(long.getBigUint64(40, true));
    at = Number(long.getBigUint64(48, true));
  }
  if (size > MOST_BYTES || count > MOST_MEMBERS) return null;
  const directory = await file.slice(at, at + size).arrayBuffer();
  return directory.byteLength === size ? members(file, new DataView(directory), count) : null;
}

function members(file, view, count) {
  const found = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== ENTRY) return null;
    const flags = view.getUint16(at + 8, true), method = view.getUint16(at + 10, true);
    let packed = view.getUint32(at + 20, true), size = view.getUint32(at + 24, true), local = view.getUint32(at + 42, true);
    const nameSize = view.getUint16(at + 28, true), extraSize = view.getUint16(at + 30, true);
    const name = decodeName(new Uint8Array(view.buffer, at + 46, nameSize), flags);
    for (let e = at + 46 + nameSize; e + 4 <= at + 46 + nameSize + extraSize;) {
      const kind = view.getUint16(e, true), length = view.getUint16(e + 2, true);
      if (kind === 1) {
        let p = e + 4;
        const next = () => { const value = Number(view.getBigUint64(p, true)); p += 8; return value; };
        if (size === 0xffffffff) size = next();
        if (packed === 0xffffffff) packed = next();
        if (local === 0xffffffff) local = next();
      }
      e += 4 + length;
    }
    at += 46 + nameSize + extraSize + view.getUint16(at + 32, true);
    if (name.endsWith("/")) continue;
    if (flags & 1 || (method !== 0 && method !== 8)) return null;
    if (method === 8 && (size > LARGEST_PACKED || size > MOST_GROWTH * Math.max(packed, 5000))) return null;
    found.push({ path: name, size, file, local, packed, method: method === 8 ? "deflate" : "" });
  }
  return found;
}

function decodeName(bytes, flags) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replaceAll("\\", "/");
  } catch {
    return new TextDecoder(flags & 0x800 ? "utf-8" : "windows-1252").decode(bytes).replaceAll("\\", "/");
  }
}
