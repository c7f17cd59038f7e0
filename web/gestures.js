// Gestures: pinch with two fingers or turn a wheel to zoom; drop or paste photos.

export function pinch(target, zoom, setZoom) {
  const fingers = new Map();
  let start = null;

  target.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button, input")) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) start = { distance: distance(), zoom: zoom() };
  });
  target.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) setZoom((start.zoom * distance()) / start.distance);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    target.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  const wheel = (event) => {
    event.preventDefault();
    setZoom(zoom() * Math.exp(-event.deltaY / 400));
  };
  target.addEventListener("wheel", wheel, { passive: false });

  function distance() {
    const [a, b] = fingers.values();
    return Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY));
  }
}

// `add(files)` gets what is dropped anywhere on the page.
export function onDrop(add) {
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

export function onPaste(add) {
  document.addEventListener("paste", ({ clipboardData }) => add(Array.from(clipboardData.files)));
}
