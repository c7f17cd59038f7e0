// Copy or share what the page says.

const SIDE = 720; // px of the shared picture

export const canShare = () => Boolean(navigator.share);

export const shareText = (title, sentence) => ({ title, text: sentence });

export const copy = (content) => navigator.clipboard.writeText(content);

// Share a sentence, and with it the square {x, y, side} of `source` where the browser takes files.
export async function share(content, source, { x, y, side }) {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  canvas.getContext("2d").drawImage(source, x, y, side, side, 0, 0, SIDE, SIDE);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  const files = [new File([blob], "handlens.jpg", { type: blob.type })];
  try {
    await navigator.share(navigator.canShare?.({ files }) ? { ...content, files } : content);
  } catch (error) {
    if (error.name !== "AbortError") throw error; // the user closed the sheet
  }
}
