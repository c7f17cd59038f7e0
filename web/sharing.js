// Copy or share what the page says.

import { percent, text } from "./texts.js";
import { toast } from "./view.js";

const SIDE = 720; // px of the shared picture

export const canShare = () => Boolean(navigator.share);

export const shareResult = { copy, copyText, share };

async function copy(settings, { name, share: sure }) {
  await copyText(`${name} ${percent(sure)} (${settings.title})`);
}

async function copyText(content) {
  await navigator.clipboard.writeText(content);
  toast(text("copied"));
}

// Share the sentence, and the picture where the browser takes files. `source` is a canvas or the video.
async function share(settings, { name, share: sure }, source, { x, y, side }) {
  const content = { text: `${name} ${percent(sure)}`, title: settings.title };
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const whole = source instanceof HTMLCanvasElement ? [0, 0, source.width, source.height] : [x, y, side, side];
  canvas.getContext("2d").drawImage(source, ...whole, 0, 0, SIDE, SIDE);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  const files = [new File([blob], "handlens.jpg", { type: blob.type })];
  try {
    await navigator.share(navigator.canShare?.({ files }) ? { ...content, files } : content);
  } catch (error) {
    if (error.name !== "AbortError") throw error; // the user closed the sheet
  }
}
