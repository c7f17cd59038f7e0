// The page: puts camera, worker and view together.

import { Camera, countCameras } from "./camera.js";
import { Engine } from "./engine.js";
import { Gallery } from "./gallery.js";
import { Live } from "./live.js";
import { keepOffline } from "./offline.js";
import { Problem } from "./problem.js";
import { shareResult, canShare } from "./sharing.js";
import { Smoother, verdict } from "./smoothing.js";
import { text, translate } from "./texts.js";
import { element, showCard, showKinds, showTest, toast, View } from "./view.js";
import { pinch } from "./zooming.js";

const CAMERA_PROBLEMS = ["camera_none", "camera_lost"]; // over as soon as a camera is plugged in

translate(document);
const video = element("video");

try {
  requireBrowser();
  await start(await readSettings());
} catch (error) {
  const problem = Problem.of(error);
  document.body.dataset.state = "problem";
  element("notice-text").textContent = text(problem.code, problem);
}

function requireBrowser() {
  const needed = { OffscreenCanvas, createImageBitmap, WebAssembly, "crypto.subtle": globalThis.crypto?.subtle };
  const lacking = Object.keys(needed).find((name) => !needed[name]);
  if (lacking === "crypto.subtle") throw new Problem("camera_insecure");
  if (lacking) throw new Problem("browser_old", lacking);
}

async function readSettings() {
  try {
    return await (await fetch("app.json")).json();
  } catch (error) {
    throw new Problem("settings_missing", String(error));
  }
}

async function start(settings) {
  const view = new View(settings);
  const engine = new Engine(settings);
  const camera = new Camera(video, cameraFailed);
  const smoother = new Smoother(settings.threshold);
  const live = new Live({ video, engine, camera, show: showFrame, fail: modelFailed });
  const gallery = new Gallery(settings, engine, openPhoto);
  let kind = remembered(settings);
  let shown = null; // the verdict on the screen
  let wanted = true; // the live view, as opposed to a picture that stands
  let tested = false;
  let retry = startCamera;

  listen();
  const cameraReady = startCamera();
  if (await loadModel()) {
    await cameraReady;
    if (!camera.running) await selfTest();
  }

  async function loadModel() {
    live.stop();
    tested = false;
    showTest(null);
    try {
      const loaded = await engine.load(kind);
      showCard(settings, loaded);
      ready();
      return true;
    } catch (problem) {
      modelFailed(problem);
      return false;
    }
  }

  function modelFailed(problem) {
    live.stop();
    ready.model = false;
    retry = () => location.reload();
    view.state = "problem";
    view.notice(problem.code, problem, { retry: "reload" });
    element("badge").hidden = true;
    for (const id of ["freeze", "choose", "flip"]) element(id).disabled = true;
  }

  // The model is loaded: let the live view and the photos begin.
  function ready() {
    ready.model = true;
    element("choose").disabled = false;
    if (camera.running) goLive();
    else if (view.state === "loading") view.notice("allow_camera", {}, { choose: true });
  }

  async function startCamera() {
    view.state = "loading";
    view.notice("starting_camera");
    element("freeze").disabled = element("flip").disabled = true;
    const asking = setTimeout(() => view.state === "loading" && view.notice("allow_camera", {}, { choose: true }), 1500);
    try {
      await camera.start();
      if (!wanted || document.hidden) return camera.stop();
      showCameraTools();
      if (ready.model) goLive();
      else view.notice("loading");
    } catch (problem) {
      cameraFailed(problem);
    } finally {
      clearTimeout(asking);
    }
  }

  function cameraFailed(problem) {
    live.stop();
    retry = startCamera;
    cameraFailed.code = problem.code;
    for (const id of ["torch", "zoom-box", "still"]) element(id).hidden = true;
    element("freeze").disabled = element("flip").disabled = true;
    view.speed();
    view.clear();
    view.state = "problem";
    view.notice(problem.code, problem, { retry: "camera", choose: true });
  }

  function goLive() {
    wanted = true;
    smoother.reset();
    view.state = "live";
    view.hideNotice();
    element("still").hidden = true;
    element("freeze").disabled = false;
    element("freeze-text").textContent = text("freeze");
    live.start();
  }

  // Back from a picture that stands.
  function resume() {
    if (camera.running) goLive();
    else (wanted = true), startCamera();
  }

  function showFrame(result) {
    shown = smoother.add(result.probabilities, result.change, result.time);
    view.answer(shown);
    view.speed(result);
    if (!tested) selfTest();
  }

  async function freeze() {
    if (view.state === "still") return resume();
    if (view.state !== "live") return;
    live.stop();
    const { x, y, side } = camera.crop();
    const picture = await createImageBitmap(video, x, y, side, side);
    drawStill(picture, camera.mirrored);
    const result = await engine.frame(picture, { x: 0, y: 0, side });
    showStill(verdict(result.probabilities, settings.threshold), result.milliseconds);
  }

  function openPhoto({ name, picture, verdict: found, milliseconds }) {
    live.stop();
    drawStill(picture, false);
    showStill(found, milliseconds);
    element("still").setAttribute("aria-label", text("photo_alt", { name, label: settings.classes[found.label] }));
    element("finder").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  function drawStill(picture, mirrored) {
    const canvas = element("still");
    const context = canvas.getContext("2d");
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? canvas.width : 0, 0);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.setAttribute("aria-label", text("paused"));
    canvas.hidden = false;
  }

  function showStill(found, milliseconds) {
    wanted = false;
    shown = found;
    view.state = "still";
    view.hideNotice();
    view.answer(found);
    view.speed({ milliseconds });
    element("freeze").disabled = false;
    element("freeze-text").textContent = text("go_on");
    element("zoom-box").hidden = element("torch").hidden = true;
  }

  async function addPhotos(files) {
    if (!files.length || !ready.model) return;
    await gallery.add(files);
  }

  async function selfTest() {
    tested = true;
    showTest(null);
    try {
      showTest(await engine.selfTest());
    } catch (problem) {
      if (problem.code !== "stopped") toast(text(problem.code, problem));
    }
    keepOffline();
  }

  async function chooseKind(chosen) {
    kind = chosen;
    remember(kind);
    if (await loadModel()) {
      await gallery.again();
      if (!camera.running) await selfTest();
    }
  }

  async function showCameraTools() {
    const still = view.state === "still";
    element("torch").hidden = still || !camera.hasTorch;
    element("torch").setAttribute("aria-pressed", camera.torchOn);
    element("zoom-box").hidden = still;
    element("zoom").max = camera.mostZoom;
    showZoom();
    element("flip").disabled = (await countCameras()) < 2;
  }

  function showZoom() {
    element("zoom").value = camera.zoom;
    element("zoom-value").textContent = `${camera.zoom.toFixed(1)}×`;
    video.style.transform = `scale(${camera.mirrored ? -camera.digitalZoom : camera.digitalZoom}, ${camera.digitalZoom})`;
  }

  async function setZoom(zoom) {
    if (view.state !== "live") return;
    await camera.setZoom(zoom);
    showZoom();
  }

  async function flip() {
    live.stop();
    camera.facing = camera.facing === "user" ? "environment" : "user";
    wanted = true;
    await startCamera();
  }

  function sentence() {
    const { label, sure, probabilities } = shown;
    return { name: sure ? settings.classes[label] : text("not_sure"), share: probabilities[label] };
  }

  function listen() {
    const click = (id, call) => element(id).addEventListener("click", call);
    click("freeze", freeze);
    click("flip", flip);
    click("retry", () => retry());
    click("choose", () => element("files").click());
    click("notice-choose", () => element("files").click());
    click("torch", () => camera.toggleTorch().then(showCameraTools));
    click("copy", () => shareResult.copy(settings, sentence()));
    click("share", () => shareResult.share(settings, sentence(), view.state === "still" ? element("still") : video, camera.crop()));
    click("copy-all", () => shareResult.copyText(gallery.asTable()));
    click("open-sheet", () => openSheet());
    click("badge", () => openSheet());
    click("close-sheet", () => element("sheet").close());
    click("test-again", selfTest);
    element("share").hidden = !canShare();
    element("choose").disabled = true;
    element("sheet").addEventListener("click", (event) => event.target === element("sheet") && element("sheet").close());
    element("zoom").addEventListener("input", (event) => setZoom(Number(event.target.value)));
    pinch(element("square"), () => camera.zoom, setZoom);
    element("files").addEventListener("change", async ({ target }) => {
      const files = Array.from(target.files);
      target.value = "";
      await addPhotos(files);
    });
    document.addEventListener("paste", ({ clipboardData }) => addPhotos(Array.from(clipboardData.files)));
    document.addEventListener("keydown", onKey);
    document.addEventListener("visibilitychange", onVisibility);
    navigator.mediaDevices?.addEventListener("devicechange", onDevices);
    listenToDrops(addPhotos);
  }

  function openSheet() {
    showKinds(settings, kind, chooseKind);
    element("sheet").showModal();
  }

  function onKey(event) {
    if (event.target !== document.body || element("sheet").open) return;
    if (event.key === " ") event.preventDefault(), freeze();
    if (event.key === "Escape" && view.state === "still") resume();
  }

  // A hidden page gives the camera back.
  function onVisibility() {
    if (document.hidden) {
      live.stop();
      camera.stop();
    } else if (wanted && !camera.running && view.state !== "problem") startCamera();
  }

  async function onDevices() {
    if (view.state === "problem" && CAMERA_PROBLEMS.includes(cameraFailed.code) && (await countCameras())) startCamera();
  }
}

function listenToDrops(add) {
  const { classList } = document.body;
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || classList.remove("dragging"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    classList.remove("dragging");
    add(Array.from(event.dataTransfer.files));
  });
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
