// From what was dropped or chosen to sources: folders are walked, ZIPs and disc images listed.

import { isDiscImage, listDisc } from "./iso.js";
import { ofFile } from "./sources.js";
import { listZip } from "./zip.js";

export async function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ofFile(file.name, file));
  const found = [];
  for (const entry of entries) await walkEntry(entry, found);
  return found;
}

async function walkEntry(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) found.push(ofFile(entry.fullPath.replace(/^\//, ""), file));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (!some.length) return;
    await Promise.all(some.filter((one) => one.isFile).map((one) => walkEntry(one, found)));
    for (const folder of some) if (folder.isDirectory) await walkEntry(folder, found);
  }
}

export function fromInput(input) {
  return [...input.files].map((file) => ofFile(file.webkitRelativePath || file.name, file));
}

export async function fromPicker() {
  const folder = await showDirectoryPicker({ id: "anteroom-disc" });
  const found = [];
  await walkHandle(folder, folder.name, found);
  return found;
}

async function walkHandle(folder, path, found) {
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind === "directory") await walkHandle(handle, `${path}/${name}`, found);
    else found.push(ofFile(`${path}/${name}`, await handle.getFile()));
  }
}

// Archives and images among them replaced by what they hold, where that can be told without sending them.
export async function unfolded(sources) {
  const found = [];
  for (const source of sources) {
    const members = await membersOf(source).catch(() => null);
    if (members === null) found.push(source);
    else for (const member of members) found.push({ ...member, path: `${source.path}/${member.path}` });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

async function membersOf({ path, file }) {
  const name = path.toLowerCase();
  if (/\.(iso|img|bin)$/.test(name) && await isDiscImage(file)) return listDisc(file);
  if (/\.(docx|xlsx|pptx|odt|jar)$/.test(name) || file.size < 22) return null;
  const start = new DataView(await file.slice(0, 4).arrayBuffer());
  if (start.getUint32(0, true) !== 0x04034b50) return null;
  const members = await listZip(file);
  return members?.length ? members : null;
}
