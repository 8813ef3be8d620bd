// The grid: it goes on as one scrolls, is used by keys, and searches by a dropped image.
"use strict";

const grid = document.getElementById("grid");
if (grid) {
  const end = document.getElementById("end");
  const bulk = document.getElementById("bulk");
  const reviews = grid.dataset.reviews === "yes";
  const picked = new Set();
  let last = [];      // [{media, label}] before the latest word: for undo
  let current = null; // the tile that keys act on
  let busy = false;

  const tiles = () => [...grid.children];
  const mediaOf = (tile) => Number(tile.dataset.media);
  const tileOf = (media) => grid.querySelector(`[data-media="${media}"]`);

  /** Fetch a page and add its tiles; without a script, the link "More" does the same. */
  async function more() {
    if (busy || !grid.dataset.more) return;
    busy = true;
    end.classList.add("busy");
    try {
      const answer = await fetch(grid.dataset.more, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      take(await answer.text());
    } catch (error) {
      end.replaceChildren(failed(error));
    } finally {
      busy = false;
      end.classList.remove("busy");
    }
    if (grid.dataset.more && !end.querySelector("button") && near()) more();
  }

  /** The page that was fetched: its tiles come behind those that are here. */
  function take(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.getElementById("grid");
    for (const tile of [...fresh.children]) {
      if (!tileOf(mediaOf(tile))) grid.append(document.importNode(tile, true));
    }
    grid.dataset.more = fresh.dataset.more;
    const said = page.getElementById("end");
    end.replaceChildren(...(tiles().length && !fresh.dataset.more ? [] : [...said.childNodes].map((one) => document.importNode(one, true))));
  }

  function failed(error) {
    const again = document.createElement("button");
    again.textContent = `More could not be loaded (${error.message}). Try again`;
    again.addEventListener("click", () => { end.replaceChildren(); more(); });
    return again;
  }

  const near = () => end.getBoundingClientRect().top < innerHeight + 1500;
  new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) more(); }, { rootMargin: "1500px" }).observe(end);
  /** Whether the picture of a tile came; what came or failed before this script did is looked up. */
  function came(picture) {
    picture.closest(".tile-image")?.classList.add("loaded");
    picture.classList.toggle("broken", picture.naturalWidth === 0);
  }
  for (const kind of ["load", "error"]) {
    grid.addEventListener(kind, (event) => { if (event.target.matches?.("img")) came(event.target); }, true);
  }
  for (const picture of grid.querySelectorAll("img")) if (picture.complete && picture.currentSrc) came(picture);

  // --- a person's word ------------------------------------------------------------------------------
  const WORDS = { true: "accepted", false: "rejected", null: "" };

  async function say(media, accepted, undoing = false) {
    if (!reviews || !media.length) return;
    const before = media.map((one) => ({ media: one, label: tileOf(one)?.dataset.label || "" }));
    await attempt(async () => {
      await call("POST", "/api/images/label", { images: media, accepted });
      for (const one of media) mark(one, WORDS[accepted]);
      last = undoing ? [] : before;
      const what = { true: "Accepted", false: "Rejected", null: "Taken back" }[accepted];
      toast(media.length === 1 ? what : `${what}: ${media.length} images`, undoing ? {} : { undo: { label: "Undo", act: undo } });
      clear();
    });
  }

  function mark(media, label) {
    const tile = tileOf(media);
    if (!tile) return;
    tile.dataset.label = label;
    tile.classList.toggle("is-accepted", label === "accepted");
    tile.classList.toggle("is-rejected", label === "rejected");
  }

  async function undo() {
    for (const [label, accepted] of [["accepted", true], ["rejected", false], ["", null]]) {
      await say(last.filter((one) => one.label === label).map((one) => one.media), accepted, true);
    }
  }

  function pick(tile) {
    const media = mediaOf(tile);
    if (picked.delete(media)) tile.classList.remove("picked");
    else { picked.add(media); tile.classList.add("picked"); }
    tell();
  }

  function clear() {
    for (const media of picked) tileOf(media)?.classList.remove("picked");
    picked.clear();
    tell();
  }

  function tell() {
    if (!bulk) return;
    bulk.hidden = picked.size === 0;
    document.getElementById("picked").textContent = picked.size === 1 ? "1 image" : `${picked.size} images`;
  }

  document.getElementById("accept-all")?.addEventListener("click", () => say([...picked], true));
  document.getElementById("reject-all")?.addEventListener("click", () => say([...picked], false));
  document.getElementById("none")?.addEventListener("click", clear);

  // --- keys ---------------------------------------------------------------------------------------------
  function go(to) {
    if (!to) return;
    current?.classList.remove("current");
    current = to;
    to.classList.add("current");
    to.querySelector("a").focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
  }

  function columns() {
    const [first, ...rest] = tiles();
    const below = rest.findIndex((one) => one.offsetTop > first.offsetTop);
    return below < 0 ? tiles().length : below + 1;
  }

  grid.addEventListener("focusin", (event) => {
    current?.classList.remove("current");
    current = event.target.closest(".tile-image");
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const all = tiles(), at = current ? all.indexOf(current) : -1;
    const steps = { ArrowRight: 1, ArrowLeft: -1, j: 1, k: -1, ArrowDown: columns(), ArrowUp: -columns() };
    const chosen = () => (picked.size ? [...picked] : current ? [mediaOf(current)] : []);
    if (event.key in steps && all.length && (at >= 0 || !event.key.startsWith("ArrowU"))) {
      if (at < 0 && event.key.startsWith("Arrow") && !grid.contains(document.activeElement) && document.activeElement !== document.body) return;
      go(at < 0 ? all[0] : all[Math.min(all.length - 1, Math.max(0, at + steps[event.key]))]);
    } else if (event.key === "a") say(chosen(), true).then(() => picked.size || go(all[at + 1]));
    else if (event.key === "r") say(chosen(), false).then(() => picked.size || go(all[at + 1]));
    else if (event.key === "u") say(chosen(), null);
    else if (event.key === "z") undo();
    else if (event.key === "x" && current && reviews) pick(current);
    else if (event.key === "m" && current) location.assign(`/dataset?like=${mediaOf(current)}`);
    else if (event.key === "e" && current) location.assign(`/masks/${mediaOf(current)}`);
    else if (event.key === "Escape") clear();
    else if (event.key === "/") document.getElementById("text").focus();
    else return;
    event.preventDefault();
  });

  // --- search by an image -----------------------------------------------------------------------------------
  const drop = document.getElementById("drop");
  let depth = 0;

  async function byImage(file) {
    if (!file || !file.type.startsWith("image/")) return toast("This is no image.", { bad: true });
    end.replaceChildren();
    end.classList.add("busy");
    try {
      const answer = await fetch("/dataset/like", { method: "POST", body: file, headers: { "X-CSRF-Token": CSRF, Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok) throw new Error(page.querySelector("h1")?.textContent || answer.statusText);
      for (const id of ["grid", "end", "result"]) {
        const now = page.getElementById(id);
        document.getElementById(id).replaceChildren(...[...now.childNodes].map((one) => document.importNode(one, true)));
      }
      grid.dataset.more = "";
      const shown = document.getElementById("dropped");
      if (shown) shown.src = URL.createObjectURL(file);
      scrollTo({ top: 0 });
    } catch (error) {
      toast(error.message, { bad: true });
    } finally {
      end.classList.remove("busy");
    }
  }

  document.getElementById("example")?.addEventListener("change", (event) => byImage(event.target.files[0]));
  addEventListener("dragenter", (event) => { if (event.dataTransfer?.types.includes("Files")) { depth += 1; drop.hidden = false; } });
  addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); drop.hidden = depth === 0; });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    drop.hidden = true;
    byImage(event.dataTransfer.files[0]);
  });
  // On a phone the images come first; the number beside "Filters" says how many are set.
  if (matchMedia("(max-width: 760px)").matches) document.querySelector(".more-filters")?.removeAttribute("open");
  // Empty fields of the form stay out of the address.
  document.querySelector(".seek").addEventListener("submit", (event) => {
    for (const field of event.target.elements) field.disabled = field.name && !field.value;
  });
  addEventListener("pageshow", () => { for (const field of document.querySelector(".seek").elements) field.disabled = false; });
}
