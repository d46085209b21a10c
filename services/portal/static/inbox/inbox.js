// The inbox: rows that follow what happens, choosing several, and the keyboard.

import { toast } from "../app.js";
import { follow } from "../live.js";
import { showTimes } from "../when.js";

const filter = document.getElementById("filter"), bulk = document.getElementById("bulk"), news = document.getElementById("news");
const rows = () => [...document.querySelectorAll("#rows > tr")];
const boxes = () => [...document.querySelectorAll('#rows input[name="study"]')];

// Pictures that can't be shown leave a plain tile of the same size.
document.addEventListener("error", (event) => { if (event.target.matches?.(".thumb img")) event.target.parentElement.classList.add("none"); }, true);
for (const image of document.querySelectorAll(".thumb img")) if (image.complete && image.currentSrc && !image.naturalWidth) image.parentElement.classList.add("none");

// Live -----------------------------------------------------------------------------------------
// One question answers for all rows and counters, however much happened meanwhile.
const MOST = 500, SOON = 400, APART = 2000;
let due = 0, listDue = 0, last = -APART, looking = Promise.resolve();

// Soon after the first news; while they go on coming, every two seconds.
function soon() {
  due ||= setTimeout(() => {
    due = 0;
    last = performance.now();
    looking = looking.then(look).catch(() => { /* the next news come */ });
  }, Math.max(SOON, last + APART - performance.now()));
}

async function look() {
  const asked = new URLSearchParams(new FormData(filter));
  asked.set("shown", rows().slice(0, MOST).map((row) => `${row.dataset.study}:${row.dataset.mark}`).join(" "));
  if (document.getElementById("more")) asked.set("more", "yes");
  const answer = await fetch("/inbox/now", { method: "POST", headers: { "HX-Request": "true" }, body: asked });
  if (!answer.ok) return;
  const shell = document.createElement("div");
  shell.innerHTML = await answer.text();
  const { content, dataset } = shell.querySelector("template");
  for (const fresh of [...content.children]) refreshRow(fresh);
  refreshTabs(shell.querySelector("#tabs"));
  refreshBadge(Number(dataset.waiting));
  showChosen();
  if (dataset.missing) missing();
}

function refreshRow(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old) return;
  const box = old.querySelector('input[name="study"]'), focused = old.contains(document.activeElement) ? document.activeElement.className : "";
  const chosen = box?.checked, same = box?.value === fresh.querySelector('input[name="study"]')?.value;
  keepPictures(old, fresh);
  old.replaceWith(fresh);
  // What was chosen on an older view is not chosen on a newer one.
  if (chosen && same) fresh.querySelector('input[name="study"]').checked = true;
  if (focused) fresh.querySelector(`.${focused}`)?.focus({ preventScroll: true });
  window.htmx?.process(fresh);
  showTimes(fresh);
}

function keepPictures(old, fresh) {
  const pictures = new Map([...old.querySelectorAll("img")].map((image) => [image.getAttribute("src"), image.parentElement]));
  for (const image of fresh.querySelectorAll("img")) {
    const shown = pictures.get(image.getAttribute("src"));
    if (shown && !shown.classList.contains("none")) image.parentElement.replaceWith(shown);
  }
}

function refreshTabs(fresh) {
  const old = document.getElementById("tabs");
  if (old.outerHTML === fresh.outerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null, { scrollLeft } = old;
  old.replaceWith(fresh);
  fresh.scrollLeft = scrollLeft;
  if (focused !== null) [...fresh.children].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
}

// The number in the navigation.
function refreshBadge(count) {
  const link = document.querySelector('.top nav a[href="/"]'), badge = link?.querySelector(".badge");
  if (badge && count) badge.textContent = count;
  else if (badge) badge.remove();
  else if (count) link?.append(Object.assign(document.createElement("span"), { className: "badge", textContent: count }));
}

// New rows come by themselves where nobody reads or works further down.
function missing() {
  const idle = window.scrollY < 40 && !boxes().some((box) => box.checked) && !document.getElementById("rows")?.contains(document.activeElement);
  if (!idle) { news.hidden = false; return; }
  clearTimeout(listDue);
  listDue = setTimeout(refreshList, 300);
}

function refreshList() {
  news.hidden = true;
  window.htmx.trigger(filter, "refresh");
}

news.addEventListener("click", refreshList);
follow("/live", soon, undefined, soon);

document.getElementById("keep")?.addEventListener("submit", (event) => { event.target.elements.query.value = location.search.slice(1); });

// Choosing several -----------------------------------------------------------------------------
function showChosen() {
  if (!bulk) return;
  const count = boxes().filter((box) => box.checked).length;
  bulk.hidden = count === 0;
  document.getElementById("chosen").textContent = count === 1 ? bulk.dataset.one : bulk.dataset.many.replace("%n", count);
  const every = document.getElementById("every");
  if (every) { every.checked = count > 0 && count === boxes().length; every.indeterminate = count > 0 && !every.checked; }
}

document.addEventListener("change", (event) => {
  if (event.target.id === "every") for (const box of boxes()) box.checked = event.target.checked;
  showChosen();
});
document.getElementById("none")?.addEventListener("click", () => { for (const box of boxes()) box.checked = false; showChosen(); });
document.addEventListener("htmx:afterSwap", (event) => {
  showChosen();
  if (event.detail.target.id === "list") soon();
  if (event.detail.target.id === "results-body") { document.getElementById("results").showModal(); for (const box of boxes()) box.checked = false; showChosen(); }
});

// Keyboard -------------------------------------------------------------------------------------
const current = () => document.activeElement?.closest?.("#rows > tr");

function move(step) {
  const all = rows(), at = all.indexOf(current());
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))];
  next?.querySelector(".main-link").focus();
  next?.scrollIntoView({ block: "nearest" });
}

function decide(action) {
  if (!bulk) return;
  if (!boxes().some((box) => box.checked)) {
    const box = current()?.querySelector('input[name="study"]');
    if (!box) return toast(bulk.dataset.one, "info");
    box.checked = true;
    showChosen();
  }
  bulk.querySelector(`[value="${action}"]`).focus();
}

const keys = {
  j: () => move(1), k: () => move(-1),
  x: () => { const box = current()?.querySelector('input[name="study"]'); if (box) { box.checked = !box.checked; showChosen(); } },
  a: () => decide("approve"), d: () => decide("decline"),
  "/": () => document.getElementById("q").focus(),
  "?": () => document.getElementById("keys")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=checkbox]), select, textarea")) { if (event.key === "Escape") event.target.blur(); return; }
  const act = keys[event.key];
  if (act) { event.preventDefault(); act(); }
});

document.addEventListener("click", (event) => {
  const row = event.target.closest("#rows > tr");
  if (row && !event.target.closest("a, input, label, button") && !getSelection().toString()) row.querySelector(".main-link").click();
});
showChosen();
