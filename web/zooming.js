// Pinch with two fingers, or turn a wheel, to zoom.

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
