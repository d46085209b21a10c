// Fetching frames and turning their pixels into pictures.

const KEPT = 96 * 1024 * 1024;

// Frames by address, the least recently used out first; fetches under way are shared.
export class Frames {
  constructor() { this.kept = new Map(); this.size = 0; }

  get(address, load) {
    const known = this.kept.get(address);
    if (known) { this.kept.delete(address); this.kept.set(address, known); return known.frame; }
    const entry = { size: 0, frame: null };
    entry.frame = load().then((frame) => {
      entry.size = frame.size;
      this.size += entry.size;
      this.trim();
      return frame;
    });
    entry.frame.catch(() => this.kept.delete(address));
    this.kept.set(address, entry);
    return entry.frame;
  }

  has(address) { return this.kept.has(address); }

  trim() {
    for (const [address, entry] of this.kept) {
      if (this.size <= KEPT || this.kept.size < 3) return;
      if (!entry.size) continue;
      this.kept.delete(address);
      this.size -= entry.size;
    }
  }
}

// Plain pixels of one frame as values; RGB as it is.
export async function rawFrame(answer, image) {
  if (!answer.ok) throw new Error(`frame ${answer.status}`);
  const bytes = await answer.arrayBuffer();
  const needed = image.rows * image.columns * image.samples * (image.bits / 8);
  if (bytes.byteLength < needed) throw new Error("frame too short");
  if (image.samples === 3) return { kind: "colour", pixels: new Uint8Array(bytes, 0, needed), size: needed };
  const pixels = image.bits === 8 ? new Uint8Array(bytes, 0, needed) : new Uint16Array(bytes, 0, needed / 2);
  const frame = { kind: "grey", pixels, size: needed };
  const mask = image.stored >= 16 ? 0xffff : (1 << image.stored) - 1, sign = 1 << (image.stored - 1);
  return Object.assign(frame, { mask, sign }, spread(image, pixels, mask, sign));
}

// The range of the values, and the part of it that all but a few pixels lie in.
function spread(image, pixels, mask, sign) {
  const counts = new Uint32Array(mask + 1);
  for (let i = 0; i < pixels.length; i += 1) counts[pixels[i] & mask] += 1;
  const first = image.signed ? sign : 0, few = pixels.length / 200;
  const found = { least: null, most: null, low: null, high: null };
  for (let i = 0, seen = 0; i <= mask; i += 1) {
    const stored = (first + i) & mask, value = image.signed && stored & sign ? stored - mask - 1 : stored;
    if (!counts[stored]) continue;
    seen += counts[stored];
    found.least ??= value;
    if (seen > few) found.low ??= value;
    if (seen >= pixels.length - few) found.high ??= value;
    found.most = value;
  }
  return found;
}

// A picture the server rendered, window applied there.
export async function renderedFrame(answer) {
  if (!answer.ok) throw new Error(`rendered ${answer.status}`);
  const picture = await createImageBitmap(await answer.blob());
  return { kind: "picture", picture, size: picture.width * picture.height * 4 };
}

// The window an image asks for, else what nearly all of its values lie in.
export function windowOf(image, frame) {
  if (image.width > 0 && image.center !== null) return { center: image.center, width: image.width };
  return frame.kind === "grey" ? range(image, frame.low, frame.high) : fullRange(image, frame);
}

function range(image, low, high) {
  const from = low * image.slope + image.intercept, to = high * image.slope + image.intercept;
  return { center: (from + to) / 2, width: Math.max(1, Math.abs(to - from)) };
}

export function fullRange(image, frame) {
  if (frame.kind !== "grey") return { center: 128, width: 256 };
  return range(image, frame.least, frame.most);
}

const tables = { key: "", table: null };

// Every stored value has its grey (PS3.3 C.11.2.1.2); a table makes windowing a matter of looking up.
function greys(image, frame, view, inverted) {
  const key = [image.bits, image.stored, image.signed, image.slope, image.intercept, view.center, view.width, inverted].join();
  if (tables.key === key) return tables.table;
  const count = frame.mask + 1, table = new Uint8Array(count);
  const low = view.center - 0.5 - (view.width - 1) / 2, scale = 255 / Math.max(1, view.width - 1);
  for (let stored = 0; stored < count; stored += 1) {
    const value = (image.signed && stored & frame.sign ? stored - count : stored) * image.slope + image.intercept;
    const grey = Math.min(255, Math.max(0, (value - low) * scale));
    table[stored] = inverted ? 255 - grey : grey;
  }
  Object.assign(tables, { key, table });
  return table;
}

// Draw the frame at its own size.
export function paint(canvas, image, frame, view, invert) {
  if (canvas.width !== image.columns || canvas.height !== image.rows) { canvas.width = image.columns || frame.picture.width; canvas.height = image.rows || frame.picture.height; }
  const context = canvas.getContext("2d", { alpha: false });
  if (frame.kind === "picture") {
    context.filter = invert ? "invert(1)" : "none";
    context.drawImage(frame.picture, 0, 0, canvas.width, canvas.height);
    return;
  }
  const area = canvas.width * canvas.height, target = context.createImageData(canvas.width, canvas.height);
  const out = new Uint32Array(target.data.buffer), { pixels } = frame;
  if (frame.kind === "colour") {
    const step = image.planar ? 1 : 3, next = image.planar ? area : 1, flip = invert ? 0xffffff : 0;
    for (let i = 0, at = 0; i < area; i += 1, at += step) out[i] = 0xff000000 | ((pixels[at] | (pixels[at + next] << 8) | (pixels[at + 2 * next] << 16)) ^ flip);
  } else {
    const table = greys(image, frame, view, invert !== image.inverted), { mask } = frame;
    for (let i = 0; i < area; i += 1) { const grey = table[pixels[i] & mask]; out[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey; }
  }
  context.putImageData(target, 0, 0);
}
