// A batch as a tar (POSIX pax): nothing is read before it is sent. It is a pure function of its files, so
// that an upload that broke off goes on with the same bytes.

const BLOCK = 512, MOST_IN_FORM = 64, text = new TextEncoder();

// What a tar holds beside its members, and what it takes for one.
export const END = 2 * BLOCK;
export function room(name, size) {
  const before = plain(name, size) ? BLOCK : headers(name, size).reduce((sum, piece) => sum + piece.length, 0);
  return before + size + padding(size).length;
}

export class Tar {
  // files: [{name, size, blob, whole}]; whole: the File, where `blob` is all of one
  constructor(files) {
    this.members = [];
    let at = 0, before = [];
    for (const { name, size, blob, whole } of files) {
      const head = joined([...before, ...headers(name, size)]);
      this.members.push({ at, head, size, blob, whole });
      at += head.length + size;
      before = [padding(size)];
    }
    this.end = joined([...before, new Uint8Array(END)]);
    this.size = at + this.end.length;
  }

  // A body that brings bytes from `offset` on: a form of whole files where one begins there.
  from(offset, { form = true } = {}) {
    const next = this.members.findIndex(({ at }) => at >= offset);
    const first = this.members[next];
    if (!form) return this.#blob().slice(offset);
    if (first?.at === offset && first.whole) return this.#form(next);
    return this.#blob().slice(offset, first && first.at > offset && first.whole ? first.at : this.size);
  }

  #blob() {
    return new Blob([...this.members.flatMap(({ head, blob }) => [head, blob]), this.end]);
  }

  // Files as fields of a form are read where they are sent from, in another process than a Blob's slices
  // are put together, at a third of the cost. What lies between them goes along as base64.
  #form(first) {
    const form = new FormData();
    let next = first;
    for (; next < this.members.length && next < first + MOST_IN_FORM && this.members[next].whole; next++) {
      const { head, size, whole } = this.members[next];
      form.append("bytes", base64(head));
      if (size) form.append(String(size), whole, "file");
    }
    if (next === this.members.length) form.append("bytes", base64(this.end));
    return form;
  }
}

// Whether a header of the old form (ustar) says it all.
function plain(name, size) {
  return name.length <= 100 && /^[\x20-\x7e]*$/.test(name) && size < 8 ** 11;
}

function headers(name, size) {
  if (plain(name, size)) return [header(name, size, "0")];
  const record = paxRecord("path", name) + (size >= 8 ** 11 ? paxRecord("size", String(size)) : "");
  const bytes = text.encode(record);
  return [header("pax", bytes.length, "x"), bytes, padding(bytes.length), header(`${name.split("/")[0]}/file`, size, "0")];
}

function joined(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) { whole.set(piece, at); at += piece.length; }
  return whole;
}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function paxRecord(key, value) {
  const rest = text.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function header(name, size, type) {
  const octal = Math.min(size, 8 ** 11 - 1).toString(8).padStart(11, "0");
  const begin = `${name.padEnd(100, "\0")}0000644\0${"0000000\0".repeat(2)}${octal}\0${"0".repeat(11)}\0`;
  const end = `${type}${"\0".repeat(100)}ustar\0` + "00";
  const block = new Uint8Array(BLOCK);
  text.encodeInto(`${begin}        ${end}`, block);
  const sum = block.reduce((total, byte) => total + byte, 0);
  text.encodeInto(`${sum.toString(8).padStart(6, "0")}\0 `, block.subarray(148));
  return block;
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
