// From files and camera frames to pixels. Runs in the worker.

import { placement } from "./fit.js";
import { Problem } from "./problem.js";

const MOST_BYTES = 256e6;
const MOST_PIXELS = 200e6;
const TILE = 2048; // px; canvases stay small however large the photo
const PREVIEW = 480; // px, side of the picture that is shown

const SIGNATURES = [
  ["jpeg", /^\xff\xd8\xff/],
  ["png", /^\x89PNG\r\n\x1a\n/],
  ["gif", /^GIF8[79]a/],
  ["webp", /^RIFF[^]{4}WEBP/],
  ["bmp", /^BM/],
  ["avif", /^[^]{4}ftypavi[fs]/],
  ["heic", /^[^]{4}ftyp(hei[cxms]|hev[cx]|mif1|msf1)/],
];

// Decode a photo: its content decides what it is, never its name.
export async function bitmapOf(blob) {
  if (blob.size === 0) throw new Problem("photo_empty");
  if (blob.size > MOST_BYTES) throw new Problem("photo_too_large", `${Math.round(blob.size / 1e6)} MB`);
  const head = new Uint8Array(await blob.slice(0, 65536).arrayBuffer());
  const kind = kindOf(head);
  if (!kind) throw new Problem("not_a_photo");
  const size = sizeOf(kind, head);
  if (size && size.width * size.height > MOST_PIXELS) {
    throw new Problem("photo_too_large", `${size.width} × ${size.height}`);
  }
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  try {
    return await createImageBitmap(blob, options);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new Problem(kind === "heic" ? "photo_heic" : "photo_damaged", error.message);
  }
}

function kindOf(head) {
  const start = String.fromCharCode(...head.subarray(0, 16));
  return SIGNATURES.find(([, pattern]) => pattern.test(start))?.[0];
}

// Width and height as the file's head states them (JPEG, PNG), to refuse a bomb before it is decoded.
function sizeOf(kind, head) {
  const view = new DataView(head.buffer);
  if (kind === "png" && head.length >= 24) return { width: view.getUint32(16), height: view.getUint32(20) };
  if (kind !== "jpeg") return null;
  let at = 2;
  while (at + 9 < head.length && head[at] === 0xff) {
    const marker = head[at + 1];
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    at += 2 + view.getUint16(at + 2);
  }
  return null;
}

// A source for `fit.js` that reads a bitmap in bands, tile by tile.
export function pixelsOf(bitmap, transparency) {
  return { width: bitmap.width, height: bitmap.height, rows };

  function rows(top, count) {
    const band = new Uint8ClampedArray(bitmap.width * count * 4);
    for (let left = 0; left < bitmap.width; left += TILE) {
      const width = Math.min(TILE, bitmap.width - left);
      const context = canvasOf(width, count, transparency);
      context.drawImage(bitmap, left, top, width, count, 0, 0, width, count);
      const tile = context.getImageData(0, 0, width, count).data;
      for (let y = 0; y < count; y++) {
        band.set(tile.subarray(y * width * 4, (y + 1) * width * 4), (y * bitmap.width + left) * 4);
      }
    }
    return band;
  }
}

// A source for `fit.js` of the square `crop` {x, y, side} of a camera frame.
export function cameraSquare(picture, { x, y, side }) {
  const context = canvasOf(side, side, "black");
  context.drawImage(picture, x, y, side, side, 0, 0, side, side);
  const { data } = context.getImageData(0, 0, side, side);
  return { width: side, height: side, rows: (top, count) => data.subarray(top * side * 4, (top + count) * side * 4) };
}

// The photo in its square as the model sees it, but sharp enough to look at.
export function preview(bitmap, fit, transparency) {
  const { source, target } = placement(bitmap.width, bitmap.height, PREVIEW, fit);
  const context = new OffscreenCanvas(PREVIEW, PREVIEW).getContext("2d");
  context.fillRect(0, 0, PREVIEW, PREVIEW);
  context.fillStyle = transparency;
  context.fillRect(target.x, target.y, target.width, target.height);
  context.imageSmoothingQuality = "high";
  const part = [source.x, source.y, source.width, source.height];
  context.drawImage(bitmap, ...part, target.x, target.y, target.width, target.height);
  return context.canvas.transferToImageBitmap();
}

const canvases = new Map();

function canvasOf(width, height, background) {
  const key = `${width}×${height}`;
  if (!canvases.has(key)) {
    if (canvases.size > 8) canvases.clear(); // the zoom makes many sizes
    canvases.set(key, new OffscreenCanvas(width, height));
  }
  const context = canvases.get(key).getContext("2d", { willReadFrequently: true });
  context.fillStyle = background;
  context.fillRect(0, 0, width, height);
  return context;
}
