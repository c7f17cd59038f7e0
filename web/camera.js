// The camera: which one, its torch and zoom, and what happens when it goes away.

import { Problem } from "./problem.js";

const PROBLEMS = {
  NotAllowedError: "camera_denied",
  SecurityError: "camera_denied",
  NotFoundError: "camera_none",
  OverconstrainedError: "camera_none",
  NotReadableError: "camera_busy",
  AbortError: "camera_busy",
};
const MOST_ZOOM = 4; // of the digital zoom, where the camera has none itself

export class Camera {
  facing = "environment";
  zoom = 1;
  torchOn = false;
  #video;
  #stream = null;
  #onLost;

  // `onLost` is called when a running camera is unplugged or taken away.
  constructor(video, onLost) {
    this.#video = video;
    this.#onLost = onLost;
  }

  get running() {
    return this.#stream !== null;
  }

  get #track() {
    return this.#stream?.getVideoTracks()[0];
  }

  get #capabilities() {
    return this.#track?.getCapabilities?.() ?? {};
  }

  get hasTorch() {
    return Boolean(this.#capabilities.torch);
  }

  get mirrored() {
    return (this.#track?.getSettings().facingMode ?? this.facing) === "user";
  }

  get mostZoom() {
    return this.#capabilities.zoom?.max ?? MOST_ZOOM;
  }

  // How much of the picture the viewfinder must enlarge itself.
  get digitalZoom() {
    return this.#capabilities.zoom ? 1 : this.zoom;
  }

  async start() {
    this.stop();
    if (!navigator.mediaDevices?.getUserMedia) throw new Problem("camera_insecure");
    const wanted = { facingMode: { ideal: this.facing }, width: { ideal: 1280 }, height: { ideal: 720 } };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      throw new Problem(PROBLEMS[error.name] ?? "camera_busy", error.message);
    }
    const stream = this.#stream;
    this.#track.addEventListener("ended", () => {
      if (this.#stream !== stream) return;
      this.stop();
      this.#onLost(new Problem("camera_lost"));
    });
    this.#video.srcObject = stream;
    await this.#video.play().catch(() => {}); // stopped meanwhile
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
    this.zoom = 1;
    this.torchOn = false;
  }

  // From the back to the front camera or back, at the next start.
  turn() {
    this.facing = this.facing === "user" ? "environment" : "user";
  }

  async toggleTorch() {
    await this.#track.applyConstraints({ advanced: [{ torch: !this.torchOn }] });
    this.torchOn = !this.torchOn;
  }

  async setZoom(zoom) {
    const least = this.#capabilities.zoom?.min ?? 1;
    this.zoom = Math.min(Math.max(zoom, least), this.mostZoom);
    if (this.#capabilities.zoom) await this.#track?.applyConstraints({ advanced: [{ zoom: this.zoom }] });
  }

  // The square in the middle of a frame that the viewfinder shows, px.
  crop() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    const side = Math.max(1, Math.round(Math.min(width, height) / this.digitalZoom));
    return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), side };
  }
}

export async function countCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "videoinput").length;
}
