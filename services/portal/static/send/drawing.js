// Uncompressed pixels as a small picture (PS3.3 C.11.2 for the window): every n-th pixel is enough.

const EDGE = 128;

export function draw(image, bytes) {
  const { rows, columns, samples, allocated } = image;
  if (!rows || !columns || ![8, 16].includes(allocated) || (samples === 3 && allocated !== 8)) return null;
  const step = Math.max(1, Math.ceil(Math.max(rows, columns) / EDGE));
  const width = Math.floor(columns / step), height = Math.floor(rows / step);
  if (!width || !height || bytes.length < rows * columns * samples * (allocated >> 3)) return null;
  const picture = new ImageData(width, height);
  if (samples === 3) colour(image, bytes, picture, step);
  else grey(image, bytes, picture, step);
  return createImageBitmap(picture);
}

function grey(image, bytes, picture, step) {
  const { columns, allocated, stored, signed, little, slope, intercept } = image;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), mask = 2 ** stored - 1, half = 2 ** (stored - 1);
  const values = new Float32Array(picture.width * picture.height);
  let low = Infinity, high = -Infinity, n = 0;
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      const at = y * step * columns + x * step;
      let value = (allocated === 8 ? view.getUint8(at) : view.getUint16(at * 2, little)) & mask;
      if (signed && value >= half) value -= mask + 1;
      value = value * slope + intercept;
      values[n++] = value;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  const windowed = image.width > 0 && image.center !== null && image.center - image.width / 2 < high && image.center + image.width / 2 > low;
  const from = windowed ? image.center - image.width / 2 : low, span = (windowed ? image.width : high - low) || 1;
  const inverse = image.photometric === "MONOCHROME1";
  for (let i = 0; i < n; i++) {
    let level = ((values[i] - from) / span) * 255;
    if (inverse) level = 255 - level;
    picture.data.fill(level < 0 ? 0 : level > 255 ? 255 : level, i * 4, i * 4 + 3);
    picture.data[i * 4 + 3] = 255;
  }
}

function colour(image, bytes, picture, step) {
  const { rows, columns, planar } = image, plane = rows * columns, ybr = image.photometric.startsWith("YBR");
  for (let y = 0, o = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++, o += 4) {
      const at = y * step * columns + x * step;
      let [a, b, c] = planar ? [bytes[at], bytes[at + plane], bytes[at + 2 * plane]] : [bytes[at * 3], bytes[at * 3 + 1], bytes[at * 3 + 2]];
      if (ybr) [a, b, c] = [a + 1.402 * (c - 128), a - 0.344 * (b - 128) - 0.714 * (c - 128), a + 1.772 * (b - 128)];
      picture.data[o] = a;
      picture.data[o + 1] = b;
      picture.data[o + 2] = c;
      picture.data[o + 3] = 255;
    }
  }
}
