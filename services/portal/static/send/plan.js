// Which files go together: the order of sending, batches, and ranges of ordinals. Pure.

import { END, room } from "./tar.js";

const FIRST = [1 << 20, 4 << 20, 16 << 20];

// "0-511,600" as a set-like list of inclusive pairs.
export function parseRanges(textForm) {
  return textForm === "" ? [] : textForm.split(",").map((piece) => {
    const [low, high] = piece.split("-").map(Number);
    return [low, high ?? low];
  });
}

export function renderRanges(numbers) {
  const pairs = [];
  for (const number of numbers) {
    const last = pairs.at(-1);
    if (last && number === last[1] + 1) last[1] = number;
    else pairs.push([number, number]);
  }
  return pairs.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`)).join(",");
}

export function missing(ranges, count) {
  const found = [];
  let next = 0;
  for (const [low, high] of [...ranges, [count, count]]) {
    for (; next < low; next++) found.push(next);
    next = high + 1;
  }
  return found;
}

// The name of a file within its batch.
export function member(ordinal, path) {
  return `${ordinal}/${path}`;
}

// Batches of the files with these ordinals. The first ones are small, so that there is something to look
// at soon. A batch with all its headers is no larger than `batchBytes`, which is one part at the server.
// A file larger than a batch is one of its own.
export function batches(files, ordinals, { batchBytes, batchFiles, fresh }) {
  const made = [];
  let current = [], bytes = 0, whole = END;
  const most = () => (fresh && made.length < FIRST.length ? Math.min(FIRST[made.length], batchBytes) : batchBytes);
  const end = () => { if (current.length) made.push({ ordinals: current, bytes }); current = []; bytes = 0; whole = END; };
  for (const ordinal of ordinals) {
    const { size, path } = files[ordinal], taken = room(member(ordinal, path), size);
    const full = bytes + size > most() || whole + taken > batchBytes || current.length >= batchFiles;
    if (current.length && full) end();
    current.push(ordinal);
    bytes += size;
    whole += taken;
  }
  end();
  return made;
}

// A name for exactly these files: whoever chooses them again continues. Discs of the same maker have the
// same paths and sizes, so `mark` tells them apart: an image's UID, a document's time.
export async function manifestName(files) {
  const lines = files.map((file) => `${file.path}\n${file.size}\n${file.mark ?? ""}`).sort().join("\n");
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lines));
  return `folder-${[...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 40)}`;
}
