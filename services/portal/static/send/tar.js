// A batch as a tar (POSIX pax) made of slices: nothing is read before it is sent. It is a pure function of
// its files, so that an upload that broke off goes on with the same bytes.

const BLOCK = 512, text = new TextEncoder();

// files: [{name, size, blob}]
export function tarOf(files) {
  const parts = [];
  for (const { name, size, blob } of files) {
    const plain = name.length <= 100 && /^[\x20-\x7e]*$/.test(name) && size < 8 ** 11;
    if (!plain) {
      const record = paxRecord("path", name) + (size >= 8 ** 11 ? paxRecord("size", String(size)) : "");
      const bytes = text.encode(record);
      parts.push(header("pax", bytes.length, "x"), bytes, padding(bytes.length));
    }
    parts.push(header(plain ? name : `${name.split("/")[0]}/file`, size, "0"), blob, padding(size));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts);
}

function paxRecord(key, value) {
  const rest = text.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function header(name, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (value, at) => block.set(text.encode(value), at);
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${Math.min(size, 8 ** 11 - 1).toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\0" + "00", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
