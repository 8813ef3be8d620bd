// The page of replies: keys, the slider, decisions one by one and many at once.
"use strict";

const picked = new Set();   // numbers of selected replies
let decided = [];           // those of the latest decision that may be taken back
let shown = "";             // what the stage shows: compare, before, mask, after; "": as the page says

const lines = () => [...document.querySelectorAll("#list .line")];
const numberOf = (line) => Number(line.dataset.id);
const current = () => Number(document.querySelector("[data-reply]")?.dataset.reply || 0);

/** Show another reply without loading the page anew; 0: whichever is first. */
function open(number) {
  const address = new URL(location.href);
  if (number) address.searchParams.set("id", number); else address.searchParams.delete("id");
  history.replaceState(null, "", address);
  for (const line of lines()) line.classList.toggle("chosen", numberOf(line) === number);
  return refresh().then(() => document.querySelector(".line.chosen")?.scrollIntoView({ block: "nearest" }));
}

/** The number of the reply beside this one in the list; 0: there is none. */
function beside(number, step) {
  const numbers = lines().map(numberOf);
  const at = numbers.indexOf(number);
  return numbers[at < 0 ? 0 : at + step] || 0;
}

/** Say a word on replies; afterwards the next one is shown. */
async function say(word, numbers, extra = {}) {
  if (!numbers.length) return;
  const leaves = document.querySelector("#list")?.dataset.view !== "all" && numbers.includes(current());
  const next = leaves && word !== "undo" ? beside(current(), 1) || beside(current(), -1) : 0;
  await attempt(async () => {
    const { outcomes } = await call("POST", `/api/replies/${word}`, { replies: numbers, ...extra });
    tell(word, outcomes);
    for (const number of numbers) picked.delete(number);
    if (word === "undo" && numbers.length === 1) await open(numbers[0]);
    else if (next && outcomes.some((one) => one.done)) await open(next);
    else await refresh();
  });
}

const DONE = { approve: "Approved", reject: "Rejected", redo: "Being made again", retry: "Tried again", cancel: "Cancelled", confirm: "Confirmed", undo: "Taken back" };

function tell(word, outcomes) {
  const done = outcomes.filter((one) => one.done).map((one) => one.reply);
  if (done.length) {
    const back = word === "approve" || word === "reject";
    decided = back ? done : [];
    const text = done.length === 1 ? `${DONE[word]}: reply ${done[0]}` : `${DONE[word]}: ${done.length} replies`;
    toast(text, back ? { undo: { label: "Undo", act: undo } } : {});
  }
  for (const one of outcomes.filter((each) => !each.done).slice(0, 3)) {
    const first = one.by ? ` ${one.by} was first: ${one.state.replaceAll("_", " ")}.` : "";
    toast(`Reply ${one.reply}:${first || ` ${one.error}`}`, { bad: true });
  }
}

function undo() {
  const numbers = decided;
  decided = [];
  if (numbers.length) say("undo", numbers);
  else if (may("undo")) say("undo", [current()]);
  else toast("There is nothing to take back");
}

const may = (word) => (document.querySelector("[data-may]")?.dataset.may || "").split(" ").includes(word);

/** Ask in a dialog. Gives its fields; null when the person thinks better of it. */
function ask(id, fill = {}) {
  const dialog = document.getElementById(id);
  const form = dialog.querySelector("form");
  form.reset();
  for (const [name, value] of Object.entries(fill)) form.elements[name].value = value;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "ok" ? Object.fromEntries(new FormData(form)) : null);
    }, { once: true });
  });
}

/** How many of these may be on the network already: sent once more, they may be there twice. */
function unsure(numbers) {
  return numbers.filter((number) => {
    const one = document.querySelector(`[data-reply="${number}"], [data-id="${number}"]`);
    return one?.dataset.state === "unknown";
  }).length;
}

/** What a word needs to know first. null: not to be said. */
async function details(word, numbers) {
  if (word === "approve" && unsure(numbers)) {
    const which = numbers.length === 1 ? "This reply" : `${unsure(numbers)} of these replies`;
    return confirm(`${which} may be on the network already, and would then be there twice. Send again?`) ? {} : null;
  }
  if (word === "reject") return ask("reject-dialog");
  if (word !== "redo") return {};
  const { style, text } = document.querySelector("[data-reply]").dataset;
  return ask("redo-dialog", { style, text });
}

async function decide(word, numbers) {
  if (document.body.dataset.role !== "reviewer") return;
  const extra = await details(word, numbers);
  if (extra) await say(word, numbers, extra);
}

document.addEventListener("click", (event) => {
  const at = event.target;
  const word = at.closest("[data-word]");
  if (word) { if (word.dataset.word === "undo") undo(); else decide(word.dataset.word, [current()]); return; }
  const bulk = at.closest("[data-bulk]");
  if (bulk) {
    if (bulk.dataset.bulk === "none") { picked.clear(); marks(); } else decide(bulk.dataset.bulk, [...picked]).then(marks);
    return;
  }
  const show = at.closest("button[data-show]");
  if (show) { shown = show.dataset.show; stage(); return; }
  const reason = at.closest("[data-reason]");
  if (reason) { reason.closest("form").elements.why.value = reason.dataset.reason; return; }
  const line = at.closest("a[data-open]");
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (line && plain && matchMedia("(min-width: 861px)").matches) {
    event.preventDefault();
    open(Number(line.dataset.open));
  }
});

document.addEventListener("change", (event) => {
  if (!event.target.matches(".pick")) return;
  const number = numberOf(event.target.closest(".line"));
  if (event.target.checked) picked.add(number); else picked.delete(number);
  marks();
});

document.addEventListener("input", (event) => {
  if (event.target.matches(".cut")) event.target.parentElement.style.setProperty("--cut", `${event.target.value}%`);
});

const KEYS = {
  j: () => { const next = beside(current(), 1); if (next) open(next); },
  k: () => { const last = beside(current(), -1); if (last) open(last); },
  a: () => { if (may("approve") && !unsure([current()])) decide("approve", [current()]); },
  r: () => { if (may("reject")) decide("reject", [current()]); },
  e: () => { if (may("redo")) decide("redo", [current()]); },
  z: undo,
  x: () => { const box = document.querySelector(".line.chosen .pick"); if (box) box.click(); },
  "/": () => document.getElementById("author-filter").focus(),
  "?": () => document.getElementById("keys-dialog").showModal(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]):not([type=range]), textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

/** The stage as it was chosen, for another reply too. */
function stage() {
  const box = document.getElementById("stage");
  if (!box) return;
  const there = [...document.querySelectorAll("button[data-show]")].map((one) => one.dataset.show);
  if (there.includes(shown)) box.dataset.show = shown;
  for (const button of document.querySelectorAll("button[data-show]")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === box.dataset.show));
  }
}

/** The boxes and the bar of what is selected; what left the list is not selected any more. */
function marks() {
  const there = lines().map(numberOf);
  for (const number of picked) if (!there.includes(number)) picked.delete(number);
  for (const line of lines()) {
    const box = line.querySelector(".pick");
    if (box) box.checked = picked.has(numberOf(line));
  }
  const bar = document.getElementById("bulk");
  if (!bar) return;
  bar.hidden = picked.size === 0;
  document.getElementById("bulk-count").textContent = picked.size;
}

document.addEventListener("refreshed", () => { marks(); stage(); });
stage();
