// The console's script: buttons call the API, and what is marked data-live follows the service.
// Nothing of a caption or an answer is ever taken as markup: only pages of ours are parsed.
"use strict";

const CSRF = document.querySelector('meta[name="csrf"]').content;
// On a phone the names of the pages do not all fit: the current one is shown.
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

/** Call the API. Returns what it answered; throws an Error with its words. */
async function call(method, path, body) {
  const headers = { "X-CSRF-Token": CSRF, "Accept": "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The console does not answer. Is it still running?");
  }
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error || `${answer.status} ${answer.statusText}`);
  return said;
}

/** A line that goes away by itself; `undo`: {label, act} is a button in it. */
function toast(text, { bad = false, undo } = {}) {
  const line = document.createElement("div");
  line.className = bad ? "toast bad" : "toast";
  line.append(text);
  if (undo) {
    const button = document.createElement("button");
    button.textContent = undo.label;
    button.addEventListener("click", () => { line.remove(); undo.act(); });
    line.append(button);
  }
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), bad || undo ? 9000 : 4000);
}

/** Do it, and say in a toast what went wrong. Returns whether it worked. */
async function attempt(work, button) {
  if (button) button.setAttribute("aria-busy", "true");
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message, { bad: true });
    return false;
  } finally {
    if (button) button.removeAttribute("aria-busy");
  }
}

// --- buttons: data-post or data-delete is the address, data-body the JSON, data-said the toast ------
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-post], button[data-delete]");
  if (!button) return;
  if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
  const [method, path] = button.dataset.post ? ["POST", button.dataset.post] : ["DELETE", button.dataset.delete];
  attempt(async () => {
    await call(method, path, method === "POST" ? JSON.parse(button.dataset.body || "{}") : undefined);
    if (button.dataset.said) toast(button.dataset.said);
    await refresh();
  }, button);
});

// --- forms: data-api is the address; the fields become the JSON -------------------------------------
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.preventDefault();
  // Not form.dataset: a field may be called like that, and would stand in its place.
  const fields = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  const error = form.querySelector(".error");
  if (error) error.textContent = "";
  call("POST", form.getAttribute("data-api"), fields).then(async () => {
    if (form.hasAttribute("data-said")) toast(form.getAttribute("data-said"));
    form.reset();
    await refresh();
  }, (problem) => {
    if (error) error.textContent = problem.message; else toast(problem.message, { bad: true });
  });
});

// --- what is marked data-live is fetched anew when the service says that something changed -----------
let fetching = null;
let again = false;

/** Fetch this page again and put its live parts in place; what did not change is not touched. What is
 *  asked for while an answer is on its way is fetched after it: that answer may be older. */
function refresh() {
  if (fetching) {
    again = true;
    return fetching;
  }
  fetching = (async () => {
    do {
      again = false;
      await fetched(location.href).catch(() => {});
    } while (again);
    document.dispatchEvent(new CustomEvent("refreshed"));
  })().finally(() => { fetching = null; });
  return fetching;
}

async function fetched(address) {
  const answer = await fetch(address, { headers: { "Accept": "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (location.href !== address) return;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(old.id);
    if (now && now.outerHTML !== old.dataset.html) replace(old, now);
  }
}

/** The new part takes the old one's place; opened details and the focus stay. */
function replace(old, now) {
  const html = now.outerHTML;
  if (old.outerHTML === html) return;
  const open = [...old.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const fresh = document.importNode(now, true);
  for (const summary of fresh.querySelectorAll("details > summary")) {
    if (open.includes(summary.textContent)) summary.parentElement.open = true;
  }
  const scroller = old.closest(".list") || old;
  const top = scroller.scrollTop;
  fresh.dataset.html = html;
  old.replaceWith(fresh);
  if (scroller.isConnected) scroller.scrollTop = top;
  if (focused) document.getElementById(focused)?.focus();
}

for (const part of document.querySelectorAll("[data-every]")) {
  setInterval(() => { if (!document.hidden) refresh(); }, Number(part.dataset.every) * 1000);
}
if (document.querySelector("[data-live]") && window.EventSource) {
  const events = new EventSource("/api/events");
  events.addEventListener("change", () => refresh());
  addEventListener("pagehide", () => events.close());
}
