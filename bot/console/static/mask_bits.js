// A mask as bits, one for each pixel, row by row: for undo, for comparing, for saving.

/** Of so many pixels, without an object. */
export const none = (pixels) => new Uint8Array(Math.ceil(pixels / 8));

/** Of RGBA bytes: where they are opaque. */
export function opaque(data) {
  const packed = none(data.length / 4);
  for (let at = 3, n = 0; at < data.length; at += 4, n += 1) if (data[at] > 127) packed[n >> 3] |= 1 << (n & 7);
  return packed;
}

/** Of RGBA bytes: where they are opaque and bright. */
function bright(data) {
  const packed = none(data.length / 4);
  for (let at = 0, n = 0; at < data.length; at += 4, n += 1) {
    if (data[at + 3] > 127 && Math.max(data[at], data[at + 1], data[at + 2]) > 127) packed[n >> 3] |= 1 << (n & 7);
  }
  return packed;
}

/** Write RGBA bytes: one colour inside, another outside. */
export function paint(data, packed, inside, outside = [0, 0, 0, 0]) {
  for (let at = 0, n = 0; at < data.length; at += 4, n += 1) {
    const colour = packed[n >> 3] & (1 << (n & 7)) ? inside : outside;
    data[at] = colour[0]; data[at + 1] = colour[1]; data[at + 2] = colour[2]; data[at + 3] = colour[3];
  }
}

/** The share of the pixels that is object. */
export function share(packed, pixels) {
  let count = 0;
  for (const byte of packed) for (let rest = byte; rest; rest &= rest - 1) count += 1;
  return count / pixels;
}

/** A picture at this size, as bits: bright is object. Fails where it has other proportions. */
export async function read(blob, width, height) {
  const image = await createImageBitmap(blob);
  const longest = Math.max(width, height, image.width, image.height);
  if (Math.abs(image.width * height - image.height * width) > longest) throw new Error(`This mask has ${image.width} × ${image.height} px: other proportions than the image.`);
  const context = flat(width, height);
  context.drawImage(image, 0, 0, width, height);
  return bright(context.getImageData(0, 0, width, height).data);
}

/** A PNG of it: white is object. */
export function png(packed, width, height) {
  const context = flat(width, height), image = context.createImageData(width, height);
  paint(image.data, packed, [255, 255, 255, 255], [0, 0, 0, 255]);
  context.putImageData(image, 0, 0);
  return new Promise((found) => { context.canvas.toBlob(found, "image/png"); });
}

function flat(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d");
}
