// The page: puts camera, worker and view together.

import { Camera, countCameras } from "./camera.js";
import { Engine } from "./engine.js";
import { Gallery } from "./gallery.js";
import { onDrop, onPaste, pinch } from "./gestures.js";
import { Live } from "./live.js";
import { keepOffline } from "./offline.js";
import { Problem } from "./problem.js";
import { canShare, copy, share, shareText } from "./sharing.js";
import { Smoother, verdict } from "./smoothing.js";
import { percent, text, translate } from "./texts.js";
import { element, onClick, showCard, showKinds, showTest, toast, View } from "./view.js";

const ASKING = 1500; // ms after which a camera that has not started is probably waiting for the user
const PLUGGABLE = ["camera_none", "camera_lost"]; // over as soon as a camera is plugged in

class App {
  #settings;
  #view;
  #engine;
  #camera;
  #smoother;
  #live;
  #gallery;
  #video = element("video");
  #kind;
  #modelReady = false;
  #cameraProblem = null;
  #wantsLive = true; // as opposed to a picture that stands
  #tested = false;
  #shown = null; // the verdict on the screen
  #photo = null; // the photo on the screen

  constructor(settings) {
    this.#settings = settings;
    this.#view = new View(settings);
    this.#engine = new Engine(settings);
    this.#camera = new Camera(this.#video, (problem) => this.#cameraFailed(problem));
    this.#smoother = new Smoother(settings.threshold);
    this.#live = new Live({
      video: this.#video,
      engine: this.#engine,
      camera: this.#camera,
      show: (result) => this.#showFrame(result),
      fail: (problem) => this.#modelFailed(problem),
    });
    this.#gallery = new Gallery(settings, this.#engine, (photo) => this.#openPhoto(photo));
    this.#kind = remembered(settings);
  }

  // Camera and model start side by side.
  async start() {
    this.#listen();
    await Promise.all([this.#startCamera(), this.#loadModel()]);
    if (this.#modelReady && !this.#camera.running) await this.#selfTest();
  }

  // ---- the model

  async #loadModel() {
    this.#modelReady = false;
    this.#tested = false;
    this.#live.stop();
    showTest(null);
    try {
      showCard(this.#settings, await this.#engine.load(this.#kind));
    } catch (problem) {
      this.#modelFailed(problem);
      return;
    }
    this.#modelReady = true;
    element("choose").disabled = false;
    if (!this.#shown) this.#clear();
    if (this.#camera.running && this.#wantsLive) this.#goLive();
  }

  #modelFailed(problem) {
    this.#live.stop();
    this.#modelReady = false;
    this.#view.state = "problem";
    this.#view.notice(problem.code, problem, { retry: "reload" });
    element("badge").hidden = true;
    for (const id of ["freeze", "choose", "flip"]) element(id).disabled = true;
  }

  async #selfTest() {
    this.#tested = true;
    showTest(null);
    try {
      showTest(await this.#engine.selfTest());
      await keepOffline();
    } catch (problem) {
      this.#modelFailed(Problem.of(problem));
    }
  }

  async #chooseKind(kind) {
    this.#kind = kind;
    remember(kind);
    this.#wantsLive ||= this.#photo === null;
    await this.#loadModel();
    if (!this.#modelReady) return;
    await this.#gallery.again();
    if (this.#photo) this.#openPhoto(this.#photo);
    if (!this.#camera.running || !this.#wantsLive) await this.#selfTest();
  }

  // ---- the live view

  async #startCamera() {
    this.#view.state = "loading";
    this.#view.notice("starting_camera");
    this.#clear();
    this.#closePhoto();
    element("freeze").disabled = element("flip").disabled = true;
    const ask = () => this.#view.state === "loading" && this.#view.notice("allow_camera", {}, { choose: this.#modelReady });
    const asking = setTimeout(ask, ASKING);
    try {
      await this.#camera.start();
    } catch (problem) {
      this.#cameraFailed(problem);
      return;
    } finally {
      clearTimeout(asking);
    }
    if (!this.#wantsLive || document.hidden) {
      this.#camera.stop();
      return;
    }
    this.#view.hideNotice();
    if (this.#modelReady) this.#goLive();
    await this.#showCameraTools();
  }

  #cameraFailed(problem) {
    this.#cameraProblem = problem.code;
    if (!this.#wantsLive) return; // a photo is on the screen: it stays
    this.#live.stop();
    this.#closePhoto();
    this.#hideCameraTools();
    element("freeze").disabled = element("flip").disabled = true;
    this.#view.speed();
    this.#clear();
    this.#view.state = "problem";
    this.#view.notice(problem.code, problem, { retry: "camera", choose: true });
  }

  #clear() {
    this.#shown = null;
    this.#view.clear(this.#modelReady ? "nothing_yet" : "loading");
  }

  #goLive() {
    this.#closePhoto();
    this.#wantsLive = true;
    this.#smoother.reset();
    this.#view.state = "live";
    this.#view.hideNotice();
    element("freeze").disabled = false;
    element("freeze-text").textContent = text("freeze");
    this.#showCameraTools();
    this.#live.start();
  }

  #showFrame(result) {
    this.#shown = this.#smoother.add(result.probabilities, result.change, result.time);
    this.#view.answer(this.#shown);
    this.#view.speed(result);
    if (!this.#tested) this.#selfTest();
  }

  async #flip() {
    this.#live.stop();
    this.#camera.turn();
    this.#wantsLive = true;
    await this.#startCamera();
  }

  async #showCameraTools() {
    element("torch").hidden = !this.#camera.hasTorch;
    element("torch").setAttribute("aria-pressed", this.#camera.torchOn);
    element("zoom-box").hidden = false;
    element("zoom").max = this.#camera.mostZoom;
    this.#showZoom();
    element("flip").disabled = (await countCameras()) < 2;
  }

  #hideCameraTools() {
    element("torch").hidden = element("zoom-box").hidden = true;
  }

  #showZoom() {
    const { zoom, digitalZoom: scale, mirrored } = this.#camera;
    element("zoom").value = zoom;
    element("zoom-value").textContent = `${zoom.toFixed(1)}×`;
    this.#video.style.transform = `scale(${mirrored ? -scale : scale}, ${scale})`;
  }

  async #setZoom(zoom) {
    if (this.#view.state !== "live") return;
    await this.#camera.setZoom(zoom);
    this.#showZoom();
  }

  // ---- pictures that stand: a frozen frame or a photo

  async #freezeOrGoOn() {
    if (this.#view.state === "still") return this.#resume();
    if (this.#view.state !== "live") return undefined;
    this.#live.stop();
    const { x, y, side } = this.#camera.crop();
    const picture = await createImageBitmap(this.#video, x, y, side, side);
    this.#drawStill(picture, text("paused"), this.#camera.mirrored);
    const { probabilities, milliseconds } = await this.#engine.frame(picture, { x: 0, y: 0, side });
    return this.#showStill(verdict(probabilities, this.#settings.threshold), milliseconds);
  }

  #resume() {
    this.#wantsLive = true;
    if (this.#camera.running) this.#goLive();
    else this.#startCamera();
  }

  #openPhoto(photo) {
    this.#live.stop();
    this.#photo = photo;
    const { name, picture, verdict: found, milliseconds } = photo;
    this.#drawStill(picture, text("photo_alt", { name, label: this.#settings.classes[found.label] }), false);
    this.#showStill(found, milliseconds);
    element("finder").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  #closePhoto() {
    this.#photo = null;
    this.#gallery.unmark();
    element("still").hidden = true;
  }

  #drawStill(picture, label, mirrored) {
    const canvas = element("still");
    const context = canvas.getContext("2d");
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? canvas.width : 0, 0);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.setAttribute("aria-label", label);
    canvas.hidden = false;
  }

  #showStill(found, milliseconds) {
    this.#wantsLive = false;
    this.#shown = found;
    this.#view.state = "still";
    this.#view.hideNotice();
    this.#view.answer(found);
    this.#view.speed({ milliseconds });
    this.#hideCameraTools();
    element("freeze").disabled = false;
    element("freeze-text").textContent = text("go_on");
  }

  async #addPhotos(files) {
    if (files.length && this.#modelReady) await this.#gallery.add(files);
  }

  // ---- what the user does

  #listen() {
    onClick({
      freeze: () => this.#freezeOrGoOn(),
      flip: () => this.#flip(),
      retry: () => (this.#modelReady || this.#view.state !== "problem" ? this.#resume() : location.reload()),
      choose: () => element("files").click(),
      "notice-choose": () => element("files").click(),
      torch: () => this.#camera.toggleTorch().then(() => this.#showCameraTools()),
      copy: () => this.#copy(this.#sentence()),
      share: () => this.#share(),
      "copy-all": () => this.#copy(this.#gallery.asTable()),
      "open-sheet": () => this.#openSheet(),
      badge: () => this.#openSheet(),
      "close-sheet": () => element("sheet").close(),
      "test-again": () => this.#selfTest(),
    });
    element("share").hidden = !canShare();
    element("choose").disabled = true;
    element("sheet").addEventListener("click", ({ target }) => target.id === "sheet" && target.close());
    element("zoom").addEventListener("input", ({ target }) => this.#setZoom(Number(target.value)));
    element("files").addEventListener("change", ({ target }) => {
      const files = Array.from(target.files);
      target.value = ""; // so that the same photo can be chosen again
      this.#addPhotos(files);
    });
    pinch(element("square"), () => this.#camera.zoom, (zoom) => this.#setZoom(zoom));
    onDrop((files) => this.#addPhotos(files));
    onPaste((files) => this.#addPhotos(files));
    document.addEventListener("keydown", (event) => this.#onKey(event));
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#onDevices());
  }

  #onKey(event) {
    if (event.target !== document.body || element("sheet").open) return;
    if (event.key === " ") event.preventDefault(), this.#freezeOrGoOn();
    if (event.key === "Escape" && this.#view.state === "still") this.#resume();
  }

  // A hidden page gives the camera back.
  #onVisibility() {
    if (document.hidden) {
      this.#live.stop();
      this.#camera.stop();
    } else if (this.#wantsLive && !this.#camera.running && this.#view.state !== "problem") this.#startCamera();
  }

  async #onDevices() {
    const waiting = this.#view.state === "problem" && PLUGGABLE.includes(this.#cameraProblem);
    if (waiting && (await countCameras())) this.#startCamera();
  }

  #openSheet() {
    showKinds(this.#settings, this.#kind, (kind) => this.#chooseKind(kind));
    element("sheet").showModal();
  }

  #sentence() {
    const { label, sure, probabilities } = this.#shown;
    const name = sure ? this.#settings.classes[label] : text("not_sure");
    return `${name} ${percent(probabilities[label])} (${this.#settings.title})`;
  }

  async #copy(content) {
    await copy(content);
    toast(text("copied"));
  }

  #share() {
    const still = this.#view.state === "still";
    const square = still ? { x: 0, y: 0, side: element("still").width } : this.#camera.crop();
    return share(shareText(this.#settings.title, this.#sentence()), still ? element("still") : this.#video, square);
  }
}

function requireBrowser() {
  if (!globalThis.isSecureContext) throw new Problem("camera_insecure");
  const needed = ["OffscreenCanvas", "createImageBitmap", "WebAssembly", "Worker"];
  const lacking = needed.find((name) => !(name in globalThis));
  if (lacking) throw new Problem("browser_old", lacking);
}

async function readSettings() {
  try {
    return await (await fetch("app.json")).json();
  } catch (error) {
    throw new Problem("settings_missing", String(error));
  }
}

// The model file chosen last time, if the page still has it. Storage may be forbidden; then it is not kept.
function remembered({ files, preferred }) {
  try {
    const kind = localStorage.getItem("kind");
    return files.some((file) => file.kind === kind) ? kind : preferred;
  } catch {
    return preferred;
  }
}

function remember(kind) {
  try {
    localStorage.setItem("kind", kind);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

translate(document);
try {
  requireBrowser();
  await new App(await readSettings()).start();
} catch (error) {
  const { code, detail } = Problem.of(error);
  document.body.dataset.state = "problem";
  element("notice-text").textContent = text(code, { detail });
  element("notice").hidden = false;
  if (code === "unexpected") throw error;
}
