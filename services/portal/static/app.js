// What every page has: times, messages, questions before something that can't be undone.

import "./when.js";

const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";
const texts = document.documentElement.dataset;

document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF-Token"] = csrf; });

// A message in the corner: toast("Saved.", "ok"). Errors stay until they are closed.
export function toast(text, tone = "ok") {
  const place = document.querySelector(".toasts");
  const box = document.createElement("div");
  box.className = `find ${tone}`;
  box.setAttribute("role", tone === "stop" ? "alert" : "status");
  const words = document.createElement("span");
  words.textContent = text;
  box.append(words);
  box.addEventListener("click", () => box.remove());
  place.append(box);
  if (tone !== "stop") setTimeout(() => box.remove(), 6000);
}

document.addEventListener("htmx:responseError", (event) => {
  let text = texts.failed;
  try { text = JSON.parse(event.detail.xhr.responseText).error || text; } catch { /* not one of our answers */ }
  toast(text, "stop");
});
for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, () => toast(texts.offline, "stop"));

// <form data-confirm="Sentence?" data-confirm-go="Do it">: asks in a dialog before it is sent.
let asked = null;
document.addEventListener("submit", (event) => {
  const form = event.target, question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!question || asked === form) { asked = null; return; }
  event.preventDefault();
  event.stopImmediatePropagation();
  const submitter = event.submitter, dialog = document.getElementById("ask");
  dialog.querySelector("p").textContent = question;
  dialog.querySelector("[value=go]").textContent = submitter?.dataset.confirmGo ?? form.dataset.confirmGo ?? submitter?.textContent.trim();
  dialog.onclose = () => { if (dialog.returnValue === "go") { asked = form; form.requestSubmit(submitter); } };
  dialog.returnValue = "";
  dialog.showModal();
}, true);

// One press sends a form once.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method === "dialog") return;
  const button = event.submitter;
  if (button) setTimeout(() => { button.disabled = true; setTimeout(() => { button.disabled = false; }, 4000); });
});

// What is current in a row of links that scrolls is in view.
for (const here of document.querySelectorAll("nav [aria-current]")) {
  const row = here.parentElement;
  row.scrollLeft = Math.max(0, here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2);
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard?.writeText(document.getElementById(copy.dataset.copy).textContent.trim()).then(() => toast(texts.copied));
  const opens = event.target.closest("[data-dialog]");
  if (opens) document.getElementById(opens.dataset.dialog)?.showModal();
  if (event.target.closest("[data-print]")) window.print();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
});
for (const link of document.querySelectorAll("[data-close]")) link.addEventListener("click", () => link.closest("dialog").close());
