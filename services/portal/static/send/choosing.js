// From what was dropped or chosen to sources: folders are walked, ZIPs and disc images listed.

import { isDiscImage, listDisc } from "./iso.js";
import { ofFile } from "./sources.js";
import { listZip } from "./zip.js";

// missed(): called for every file and folder that could not be read.
export async function fromDrop(transfer, missed) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ofFile(file.name, file));
  const found = [];
  for (const entry of entries) await walkEntry(entry, found, missed);
  return found;
}

async function walkEntry(entry, found, missed) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) found.push(ofFile(entry.fullPath.replace(/^\//, ""), file)); else missed();
    return;
  }
  const reader = entry.createReader();
  for (;;) { // browsers tell of a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => null);
    if (some === null) missed();
    if (!some?.length) return;
    await Promise.all(some.filter((one) => one.isFile).map((one) => walkEntry(one, found, missed)));
    for (const folder of some) if (folder.isDirectory) await walkEntry(folder, found, missed);
  }
}

// The browser looks up the size of each file when it is asked for: pauses in between keep the page alive.
export async function fromInput(files) {
  const found = [];
  let since = performance.now();
  for (const file of files) {
    found.push(ofFile(file.webkitRelativePath || file.name, file));
    if (performance.now() - since < 12) continue;
    await new Promise((resolve) => setTimeout(resolve));
    since = performance.now();
  }
  return found;
}

// What a ZIP or disc image holds, as sources; null where that can't be told without sending it.
export async function membersOf(source, kind) {
  if (source.file.size !== source.size) return null;
  const members = await (kind === "zip" ? listZip(source.file) : discOf(source.file)).catch(() => null);
  if (!members?.length) return null;
  return members.map((member) => ({ ...member, path: `${source.path}/${member.path}` }));
}

async function discOf(file) {
  return await isDiscImage(file) ? listDisc(file) : null;
}

export function byPath(sources) {
  return sources.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
