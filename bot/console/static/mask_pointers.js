// Mouse, pen and fingers on a canvas: one draws or pans, two of them zoom. All places in px of the canvas.

/**
 * Hear them. `on`: ready() and pans() are asked; begin(at), go(from, to), end() and give_up() tell of a stroke,
 * pan(x, y) and zoom(factor, x, y) of the view, hover(at) of where the pointer is (null: nowhere).
 */
export function hear(canvas, on) {
  const pointers = new Map();
  const spot = (event) => { const edge = canvas.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };

  canvas.addEventListener("pointerdown", (event) => {
    if (!on.ready()) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const at = spot(event), pans = on.pans() || event.button > 0;
    pointers.set(event.pointerId, { at, pans });
    if (pointers.size === 2) on.give_up(); // two fingers zoom
    else if (pointers.size === 1 && !pans) on.begin(at);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = spot(event), known = pointers.get(event.pointerId);
    if (!known) return on.hover(at);
    const before = known.at;
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, one]) => one.at);
      const apart = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
      on.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
      on.zoom(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    } else if (known.pans) on.pan(at[0] - before[0], at[1] - before[1]);
    else if (pointers.size === 1) {
      const path = event.getCoalescedEvents?.().map(spot) || [];
      let last = before;
      for (const one of path.length ? path : [at]) { on.go(last, one); last = one; }
      on.hover(at);
    }
    known.at = at;
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      const known = pointers.get(event.pointerId);
      if (!known) return;
      if (pointers.size === 1 && !known.pans) { if (kind === "pointerup") on.end(); else on.give_up(); }
      pointers.delete(event.pointerId);
      for (const one of pointers.values()) one.pans = true; // the finger that stays draws nothing
    });
  }
  canvas.addEventListener("pointerleave", () => { if (!pointers.size) on.hover(null); });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (on.ready()) on.zoom(Math.exp(-Math.min(120, Math.max(-120, event.deltaY)) / 300), ...spot(event));
  }, { passive: false });
}
