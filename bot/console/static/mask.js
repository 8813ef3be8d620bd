// The editor of a mask: points, box, brush and eraser; zoom, pan, undo; by mouse, touch and keys.
import { none, opaque, paint as fill, png, read, share } from "./mask_bits.js";
import { marks, outline } from "./mask_marks.js";
import { hear } from "./mask_pointers.js";

const editor = document.getElementById("editor");
if (editor) {
  const $ = (id) => document.getElementById(id);
  const { media, picture: address } = editor.dataset;
  const reviews = editor.dataset.reviews === "yes";
  const masks = `/api/images/${media}/masks`;
  const canvas = $("canvas"), board = $("board"), view = canvas.getContext("2d");
  const TINT = [255, 45, 120], STEPS = 60, HELD = 10; // colour, undo steps, px of an arrow key
  const picture = new Image();
  const mask = document.createElement("canvas"); // opaque where the object is
  const drawing = mask.getContext("2d", { willReadFrequently: true });
  const rim = document.createElement("canvas");
  let base = Number(editor.dataset.base); // the version that was begun with
  let width = 0, height = 0, scale = 1, left = 0, top = 0, fitted = true; // of the view, in CSS px
  let tool = reviews ? "add" : "hand", size = 24, hidden = false, dirty = false, ready = false;
  let points = [], box = null, under = null; // what is asked, and the mask before the first of it
  let done = [], undone = [];                // {bits, points, box, under}
  let cursor = null, corner = null, stroke = null, dragged = null, asking = null, frame = 0;

  // --- the mask ----------------------------------------------------------------------------------------------
  const bits = () => opaque(drawing.getImageData(0, 0, width, height).data);
  const bitsOf = (blob) => read(blob, width, height);

  function show(packed) {
    const image = drawing.createImageData(width, height);
    fill(image.data, packed, [...TINT, 255]);
    drawing.putImageData(image, 0, 0);
    changed();
  }

  // --- undo ------------------------------------------------------------------------------------------------
  const now = (packed = bits()) => ({ bits: packed, points: [...points], box, under });

  function remember() {
    done.push(now());
    if (done.length > STEPS) done.shift();
    undone = [];
    dirty = true;
  }

  function step(from, to) {
    if (!from.length || stroke) return;
    asking?.abort();
    to.push(now());
    const last = from.pop();
    ({ points, box, under } = last);
    dirty = true;
    show(last.bits);
  }
  const undo = () => step(done, undone), redo = () => step(undone, done);

  // --- the view -----------------------------------------------------------------------------------------------
  const toImage = (x, y) => [(x - left) / scale, (y - top) / scale];
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function fit() {
    scale = Math.min(board.clientWidth / width, board.clientHeight / height);
    left = (board.clientWidth - width * scale) / 2;
    top = (board.clientHeight - height * scale) / 2;
    fitted = true;
    draw();
  }

  function zoom(factor, x = board.clientWidth / 2, y = board.clientHeight / 2) {
    const least = Math.min(board.clientWidth / width, board.clientHeight / height);
    const next = clamp(scale * factor, least / 2, Math.max(16, least));
    left = x - (x - left) * (next / scale);
    top = y - (y - top) * (next / scale);
    scale = next;
    fitted = false;
    draw();
  }

  function pan(x, y) {
    left = clamp(left + x, 40 - width * scale, board.clientWidth - 40);
    top = clamp(top + y, 40 - height * scale, board.clientHeight - 40);
    fitted = false;
    draw();
  }

  function draw() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; if (ready) paint(); });
  }

  function paint() {
    const dots = devicePixelRatio || 1, wide = Math.round(board.clientWidth * dots), high = Math.round(board.clientHeight * dots);
    for (const one of [canvas, rim]) if (one.width !== wide || one.height !== high) [one.width, one.height] = [wide, high];
    view.setTransform(1, 0, 0, 1, 0, 0);
    view.clearRect(0, 0, wide, high);
    const [x, y, w, h] = [left * dots, top * dots, width * scale * dots, height * scale * dots];
    view.imageSmoothingEnabled = scale * dots < 3;
    view.drawImage(picture, x, y, w, h);
    if (!hidden) {
      view.globalAlpha = 0.42;
      view.drawImage(mask, x, y, w, h);
      view.globalAlpha = 1;
      outline(view, rim, mask, [x, y, w, h], Math.max(1, 1.5 * dots));
    }
    view.setTransform(dots, 0, 0, dots, 0, 0);
    marks(view, ([across, down]) => [left + across * scale, top + down * scale], { box: dragged || box, points, pen: pen() });
  }

  function pen() {
    if (!cursor || !reviews) return null;
    const draws = tool === "brush" || tool === "eraser";
    return draws || cursor.keys ? { at: cursor, radius: draws ? Math.max(1.5, (size / 2) * scale) : 0 } : null;
  }

  // --- tools -----------------------------------------------------------------------------------------------------
  const inside = ([x, y]) => x >= 0 && y >= 0 && x < width && y < height;

  function choose(name) {
    if (!reviews) return;
    tool = name;
    corner = dragged = null;
    canvas.dataset.tool = tool;
    for (const one of document.querySelectorAll("[data-tool].tool")) one.setAttribute("aria-pressed", String(one.dataset.tool === tool));
    $("size-field").hidden = tool !== "brush" && tool !== "eraser";
    $("mode-field").hidden = !["add", "away", "box"].includes(tool);
    draw();
  }

  function resize(to) {
    size = clamp(Math.round(to), 1, Number($("size").max));
    $("size").value = size;
    $("size-said").textContent = size;
    draw();
  }

  function dab(from, to) {
    drawing.globalCompositeOperation = tool === "eraser" ? "destination-out" : "source-over";
    drawing.strokeStyle = `rgb(${TINT.join(" ")})`;
    [drawing.lineWidth, drawing.lineCap] = [size, "round"];
    drawing.beginPath();
    drawing.moveTo(...from);
    drawing.lineTo(to[0] + (from[0] === to[0] && from[1] === to[1] ? 0.01 : 0), to[1]);
    drawing.stroke();
    drawing.globalCompositeOperation = "source-over";
    draw();
  }

  function begin(at) {
    if (tool === "brush" || tool === "eraser") {
      stroke = now();
      forget();
      dab(at, at);
    } else if (tool === "box") dragged = [...at, ...at];
    else if (inside(at)) {
      remember();
      points.push({ x: at[0], y: at[1], object: tool === "add" });
      ask();
    }
  }

  function go(from, to) {
    if (stroke) dab(from, to);
    else if (dragged) { dragged = [dragged[0], dragged[1], ...to]; draw(); }
  }

  function end() {
    if (stroke) {
      done.push(stroke);
      if (done.length > STEPS) done.shift();
      [undone, stroke, dirty] = [[], null, true];
      changed();
    } else if (dragged) {
      const [a, b, c, d] = dragged;
      const found = [clamp(Math.min(a, c), 0, width), clamp(Math.min(b, d), 0, height), clamp(Math.max(a, c), 0, width), clamp(Math.max(b, d), 0, height)];
      dragged = null;
      if (found[2] - found[0] < 2 || found[3] - found[1] < 2) return draw();
      remember();
      box = found;
      ask();
    }
  }

  function give_up() {
    if (stroke) { const last = stroke; stroke = null; ({ points, box, under } = last); show(last.bits); }
    dragged = corner = null;
    draw();
  }

  /** Points and box are done with; the mask stays. */
  function forget() {
    asking?.abort();
    [points, box, under, corner] = [[], null, null, null];
    draw();
  }

  // --- suggestions ---------------------------------------------------------------------------------------------------
  /** What points and box show; nothing of them: the main object, as the network finds it. */
  async function ask() {
    under ??= done[done.length - 1].bits;
    asking?.abort();
    const mine = asking = new AbortController();
    board.classList.add("busy");
    draw();
    try {
      const [right, down] = [Number(editor.dataset.width) / width, Number(editor.dataset.height) / height];
      const said = { points: points.map((one) => ({ x: one.x * right, y: one.y * down, object: one.object })), box: box && [box[0] * right, box[1] * down, box[2] * right, box[3] * down] };
      const answer = await fetch(`${masks}/suggest`, { method: "POST", signal: mine.signal, headers: { "X-CSRF-Token": CSRF, "Content-Type": "application/json" }, body: JSON.stringify(said) });
      if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || answer.statusText);
      const found = await bitsOf(await answer.blob());
      if (asking !== mine) return;
      const mode = $("mode").value, before = under;
      show(mode === "anew" ? found : found.map((byte, n) => (mode === "join" ? byte | before[n] : before[n] & ~byte)));
    } catch (error) {
      if (error.name !== "AbortError") toast(error.message, { bad: true });
    } finally {
      if (asking === mine) { asking = null; board.classList.remove("busy"); }
    }
  }

  function ask_network() {
    if (!ready) return;
    remember();
    forget();
    $("mode").value = "anew";
    ask();
  }

  function replace_by(packed) {
    remember();
    forget();
    show(packed);
  }

  // --- saving ---------------------------------------------------------------------------------------------------------
  /** Returns whether it was saved. */
  async function save() {
    if (!reviews || !ready || stroke) return false;
    let saved = false;
    await attempt(async () => {
      const answer = await fetch(`${masks}?base=${base}`, { method: "POST", headers: { "X-CSRF-Token": CSRF, "Content-Type": "image/png", Accept: "application/json" }, body: await png(bits(), width, height) });
      const said = await answer.json().catch(() => ({}));
      if (answer.status === 409) return conflict(said.error);
      if (!answer.ok) throw new Error(said.error || answer.statusText);
      [base, dirty, saved] = [said.version, false, true];
      $("conflict").hidden = true;
      toast(`Saved as version ${base}`);
      await refresh();
    }, $("save"));
    return saved;
  }

  function conflict(text) {
    $("conflict-said").textContent = `Not saved yet: ${text}.`;
    $("conflict").hidden = false;
    $("theirs").focus();
  }

  /** Begin with the version that is the newest now; returns it. */
  async function catch_up() {
    const { versions } = await call("GET", masks);
    base = versions[0]?.version || 0;
    $("conflict").hidden = true;
    await refresh();
    return base;
  }

  /** A version at the size of what is drawn on; the server keeps what is finer where nothing is changed. */
  async function version(number) {
    const answer = await fetch(`${masks}/${number}?width=${width}&height=${height}`);
    if (!answer.ok) throw new Error(`Version ${number} cannot be loaded.`);
    return bitsOf(await answer.blob());
  }
  const load = async (number) => replace_by(await version(number));

  const leave = () => { dirty = false; location.assign($("next").href); };
  function next() {
    if (dirty) toast("This mask is not saved.", { undo: { label: "Go on without saving", act: leave } });
    else leave();
  }
  const save_and_next = async () => { if (await save()) leave(); };

  function changed() {
    const part = (100 * share(bits(), width * height)).toFixed(1);
    $("mask-status").textContent = part === "0.0" ? "The mask is empty: no object." : `The mask covers ${part} % of the image.`;
    if (reviews) [$("undo").disabled, $("redo").disabled] = [!done.length, !undone.length];
    draw();
  }

  // --- mouse, pen and fingers ---------------------------------------------------------------------------------------------
  hear(canvas, {
    ready: () => ready,
    pans: () => tool === "hand",
    begin: (at) => begin(cursor = toImage(...at)),
    go: (from, to) => go(toImage(...from), toImage(...to)),
    end, give_up, pan, zoom,
    hover: (at) => { cursor = at && toImage(...at); draw(); },
  });

  // --- keys ------------------------------------------------------------------------------------------------------------------
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function by_key(event) {
    const at = cursor && inside(cursor) ? cursor : toImage(board.clientWidth / 2, board.clientHeight / 2);
    if (event.key in ARROWS) {
      const [right, down] = ARROWS[event.key], far = HELD / scale;
      const to = [clamp(at[0] + right * far, 0, width - 0.01), clamp(at[1] + down * far, 0, height - 0.01)];
      if (event.shiftKey && (tool === "brush" || tool === "eraser")) { begin(at); go(at, to); end(); }
      cursor = to;
      if (corner) dragged = [...corner, ...to];
    } else if (tool === "box") {
      if (corner) { dragged = [...corner, ...at]; end(); corner = null; }
      else { corner = [...at]; cursor = [...at]; }
    } else if (tool !== "hand") { cursor = [...at]; begin(at); end(); }
    if (cursor) cursor.keys = true;
    draw();
  }

  const KEYS = {
    p: () => choose("add"), n: () => choose("away"), x: () => choose("box"), b: () => choose("brush"), e: () => choose("eraser"), h: () => choose("hand"),
    "[": () => resize(size / 1.25), "]": () => resize(Math.max(size + 1, size * 1.25)),
    z: undo, y: redo, Z: redo, m: ask_network, c: () => replace_by(none(width * height)),
    s: save, w: save_and_next, Escape: () => { give_up(); forget(); },
  };
  const LOOKS = { v: () => $("peek").click(), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit, j: next };

  document.addEventListener("keydown", (event) => {
    if (!ready || event.altKey || event.target.closest("input[type=text], select, textarea")) return;
    const on_image = event.target === canvas;
    const work = LOOKS[event.key] || (reviews ? KEYS[event.key] : undefined);
    if (event.ctrlKey || event.metaKey) {
      if (!reviews || !["z", "y", "Z", "s"].includes(event.key)) return;
      KEYS[event.shiftKey && event.key === "z" ? "Z" : event.key]();
    } else if (on_image && reviews && (event.key in ARROWS || event.key === " " || event.key === "Enter")) by_key(event);
    else if (work) work();
    else return;
    event.preventDefault();
  });

  // --- buttons ----------------------------------------------------------------------------------------------------------------
  const on = (id, act, kind = "click") => $(id)?.addEventListener(kind, act);
  document.querySelector(".tools")?.addEventListener("click", (event) => { const one = event.target.closest("[data-tool]"); if (one) choose(one.dataset.tool); });
  on("size", (event) => resize(Number(event.target.value)), "input");
  on("mode", () => { if (points.length || box) ask(); }, "change");
  on("undo", undo); on("redo", redo); on("network", ask_network); on("clear", KEYS.c);
  on("zoom-in", () => zoom(1.25)); on("zoom-out", () => zoom(0.8)); on("zoom-fit", fit);
  on("save", save); on("save-next", save_and_next);
  on("next", (event) => { event.preventDefault(); next(); });
  on("peek", () => { hidden = !hidden; $("peek").setAttribute("aria-pressed", String(hidden)); draw(); });
  on("theirs", () => attempt(async () => { await load(await catch_up()); dirty = false; }));
  on("mine", () => attempt(async () => { await catch_up(); await save(); }));
  on("file", (event) => attempt(async () => { const [file] = event.target.files; if (file) replace_by(await bitsOf(file)); event.target.value = ""; }), "change");
  document.addEventListener("click", (event) => { const one = event.target.closest("[data-version]"); if (one && ready) attempt(() => load(one.dataset.version)); });
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
  new ResizeObserver(() => { if (!ready) return; if (fitted) fit(); else draw(); }).observe(board);

  // --- the image ----------------------------------------------------------------------------------------------------------------
  async function start() {
    picture.src = address;
    try {
      await picture.decode();
    } catch {
      $("mask-status").textContent = "The picture of this image cannot be shown.";
      return;
    }
    [width, height] = [picture.naturalWidth, picture.naturalHeight];
    [mask.width, mask.height] = [width, height];
    if (reviews) $("size").max = Math.max(40, Math.round(Math.min(width, height) / 3));
    ready = true;
    fit();
    resize_first();
    changed();
    if (editor.dataset.stored) await attempt(async () => show(await version(base)));
    editor.dataset.ready = "yes";
  }

  function resize_first() {
    if (!reviews) return;
    resize(Math.min(width, height) / 25);
    choose(tool);
  }

  canvas.dataset.tool = tool;
  start();
}
