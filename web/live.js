// The loop of the live view: one frame in work at a time, frames in between are dropped.

const LOOK_AGAIN = 500; // ms without a new picture, after which to see whether the loop goes on

export class Live {
  #video;
  #engine;
  #camera;
  #show;
  #fail;
  #run = 0; // counts starts; a loop of an earlier start ends itself
  #times = [];

  // `show({probabilities, change, time, milliseconds, fps})` gets every result, `fail(problem)` the end.
  constructor({ video, engine, camera, show, fail }) {
    this.#video = video;
    this.#engine = engine;
    this.#camera = camera;
    this.#show = show;
    this.#fail = fail;
  }

  start() {
    this.#times = [];
    this.#loop(++this.#run);
  }

  stop() {
    this.#run++;
  }

  async #loop(run) {
    const frames = new Frames(this.#video);
    while (run === this.#run) {
      if (!(await frames.next()) || run !== this.#run) continue;
      try {
        const result = await this.#engine.frame(await grab(this.#video), this.#camera.crop());
        if (run === this.#run) this.#show({ ...result, ...this.#measure() });
      } catch (problem) {
        if (run === this.#run) this.#fail(problem);
        break;
      }
    }
    frames.close();
  }

  // Results of the last second.
  #measure() {
    const time = performance.now();
    this.#times.push(time);
    while (time - this.#times[0] > 1000) this.#times.shift();
    const span = time - this.#times[0];
    return { time, fps: span > 300 ? ((this.#times.length - 1) * 1000) / span : null };
  }
}

// Tells when the camera has a picture that was not yet taken.
class Frames {
  #video;
  #fresh = false;
  #wake = () => {};
  #request;
  #cancel;
  #handle;

  constructor(video) {
    this.#video = video;
    const exact = "requestVideoFrameCallback" in video;
    this.#request = (call) => (exact ? video.requestVideoFrameCallback(call) : requestAnimationFrame(call));
    this.#cancel = (handle) => (exact ? video.cancelVideoFrameCallback(handle) : cancelAnimationFrame(handle));
    this.#tick();
  }

  #tick() {
    this.#handle = this.#request(() => {
      this.#fresh = true;
      this.#wake();
      this.#tick();
    });
  }

  // Wait for a new picture: true, or false when none has come for a while.
  async next() {
    if (!this.#fresh) {
      let timer;
      await new Promise((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, LOOK_AGAIN);
      });
      clearTimeout(timer);
    }
    const ready = this.#fresh && this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.#fresh = false;
    return ready;
  }

  close() {
    this.#cancel(this.#handle);
  }
}

// The current picture. A VideoFrame costs nothing to make; an ImageBitmap serves browsers without, and
// phones whose frames lie on their side.
export async function grab(video) {
  if ("VideoFrame" in globalThis) {
    const frame = new VideoFrame(video);
    if (frame.displayWidth === video.videoWidth && frame.displayHeight === video.videoHeight) return frame;
    frame.close();
  }
  return createImageBitmap(video);
}
