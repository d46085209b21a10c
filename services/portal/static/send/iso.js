// The files of a disc image (ISO 9660 / ECMA-119, Joliet names where there are any) as sources.

const SECTOR = 2048, MOST = 50_000, DEEPEST = 24;

export async function isDiscImage(file) {
  if (file.size < 17 * SECTOR) return false;
  const mark = new Uint8Array(await file.slice(16 * SECTOR + 1, 16 * SECTOR + 6).arrayBuffer());
  return String.fromCharCode(...mark) === "CD001";
}

// null for an image that is better sent as it is.
export async function listDisc(file) {
  let root = null, joliet = false;
  for (let sector = 16; sector < 48; sector++) {
    const bytes = new Uint8Array(await file.slice(sector * SECTOR, (sector + 1) * SECTOR).arrayBuffer());
    if (bytes.length < SECTOR || bytes[0] === 255) break;
    const wide = bytes[0] === 2 && bytes[88] === 0x25 && bytes[89] === 0x2f;
    if (bytes[0] === 1 && root === null) root = record(bytes, 156, false);
    if (wide) { root = record(bytes, 156, true); joliet = true; }
  }
  if (root === null) return null;
  const found = [], folders = [{ ...root, path: "", depth: 0 }], seen = new Set();
  while (folders.length) {
    const folder = folders.pop();
    if (seen.has(folder.at) || folder.depth > DEEPEST || folder.size > 64 << 20) return null;
    seen.add(folder.at);
    const bytes = new Uint8Array(await file.slice(folder.at, folder.at + folder.size).arrayBuffer());
    for (let at = 0; at < bytes.length;) {
      if (bytes[at] === 0) { at = (Math.floor(at / SECTOR) + 1) * SECTOR; continue; }
      const entry = record(bytes, at, joliet);
      at += bytes[at];
      if (entry.name === "") continue;
      const path = folder.path + entry.name;
      if (entry.folder) folders.push({ ...entry, path: `${path}/`, depth: folder.depth + 1 });
      else if (entry.parts || entry.at + entry.size > file.size) return null;
      else found.push({ path, size: entry.size, file, at: entry.at, packed: entry.size, method: "" });
      if (found.length > MOST) return null;
    }
  }
  return found;
}

// "" as the name of "." and "..".
function record(bytes, at, wide) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at), flags = bytes[at + 25], size = bytes[at + 32];
  const raw = bytes.subarray(at + 33, at + 33 + size);
  const special = size === 1 && raw[0] < 2;
  const name = special ? "" : new TextDecoder(wide ? "utf-16be" : "windows-1252").decode(raw);
  return {
    at: view.getUint32(2, true) * SECTOR,
    size: view.getUint32(10, true),
    folder: (flags & 2) !== 0,
    parts: (flags & 0x80) !== 0,
    name: name.replace(/;\d+$/, "").replace(/\.$/, ""),
  };
}
