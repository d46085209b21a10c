// The page of a study: what the decision will say, searching patients, documents, and staying current.

import { follow } from "../live.js";
import { showTimes } from "../when.js";

const part = (id) => document.getElementById(id);
document.addEventListener("error", (event) => { if (event.target.matches?.(".thumb img")) event.target.parentElement.classList.add("none"); }, true);
for (const image of document.querySelectorAll(".thumb img")) if (image.complete && !image.naturalWidth) image.parentElement.classList.add("none");

// What approving will do, said where it is done -------------------------------------------------
function say() {
  const says = part("says"), chosen = document.querySelector('input[name="target"]:checked');
  if (!says) return;
  const approve = part("approve");
  says.textContent = chosen ? `${says.dataset.for.replace("%n", chosen.dataset.name)}, ${chosen.dataset.place}` : says.dataset.nobody;
  if (approve) approve.disabled = !chosen;
  const order = chosen?.closest(".person")?.querySelector("[data-order]")?.selectedOptions[0]?.dataset.accession;
  const along = part("with");
  along.textContent = order ? along.dataset.with.replace("%n", order) : "";
}
document.addEventListener("change", (event) => { if (event.target.closest("#identity")) say(); });

// Between a decision and its being made
function count() {
  const bar = document.querySelector(".countdown b"), seconds = Number(bar?.parentElement.dataset.seconds ?? 0);
  bar?.animate([{ width: "100%" }, { width: "0%" }], { duration: seconds * 1000, fill: "forwards" });
}
document.addEventListener("click", (event) => { if (event.target.closest("#decide [data-close]")) event.target.closest("dialog").close(); });

// Searching the hospital's patients ---------------------------------------------------------------
const csrf = document.querySelector('meta[name="csrf"]').content;
let searchDue = 0, asked = 0;
async function search(form) {
  const text = form.elements.q.value.trim(), hits = form.querySelector(".hits"), mine = ++asked;
  if (text.length < 2) return hits.replaceChildren();
  const answer = await fetch("/api/patients/search", { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify({ q: text, limit: 8 }) });
  if (mine !== asked) return;
  const { patients } = answer.ok ? await answer.json() : { patients: [] };
  hits.replaceChildren(...patients.map((found) => hit(form, found)));
  if (!patients.length) hits.append(Object.assign(document.createElement("li"), { className: "mini", textContent: form.dataset.none }));
}
const person = (name) => name.split("=")[0].split("^").filter(Boolean).join(", ");
const day = (text) => { const date = new Date(`${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6, 8)}T12:00:00Z`); return Number.isNaN(date.getTime()) ? "" : date.toLocaleDateString(document.documentElement.lang, { day: "numeric", month: "short", year: "numeric" }); };
function hit(form, found) {
  const line = document.createElement("li"), button = document.createElement("button"), small = document.createElement("span");
  Object.assign(button, { type: "button", className: "btn", textContent: person(found.patient.name) });
  Object.assign(small, { className: "mini block", textContent: [day(found.patient.birth_date), found.patient.sex, found.patient.patient_id].filter(Boolean).join(" · ") });
  button.append(small);
  button.addEventListener("click", () => compare(form, found));
  line.append(button);
  return line;
}
async function compare(form, found) {
  const body = new FormData();
  body.set("patient", JSON.stringify(found.patient));
  for (const { order } of found.orders) body.append("order", JSON.stringify(order));
  const answer = await fetch(form.dataset.compare, { method: "POST", headers: { "X-CSRF-Token": csrf, "HX-Request": "true" }, body });
  if (!answer.ok) return;
  part("candidates").querySelector(".searched")?.remove();
  const shell = document.createElement("div");
  shell.innerHTML = await answer.text();
  const card = shell.querySelector(".person");
  card.classList.add("searched");
  part("candidates").prepend(card);
  form.querySelector(".hits").replaceChildren();
  form.elements.q.value = "";
  card.querySelector("input").focus();
  say();
}
document.addEventListener("input", (event) => {
  const form = event.target.closest("#patients");
  if (form) { clearTimeout(searchDue); searchDue = setTimeout(() => search(form), 250); }
});
document.addEventListener("submit", (event) => { if (event.target.id === "patients") { event.preventDefault(); search(event.target); } });

// Documents that came with the images -------------------------------------------------------------
async function documents(section) {
  const list = section.querySelector("ul"), pattern = section.querySelector("template").content.firstElementChild, lines = [];
  for (const submission of section.dataset.submissions.split(" ").filter(Boolean)) {
    const answer = await fetch(`/api/submissions/${submission}/documents`);
    if (!answer.ok) continue;
    for (const found of (await answer.json()).documents) {
      const line = pattern.cloneNode(true), [show, take] = line.querySelectorAll("a");
      line.querySelector("b").textContent = found.name;
      line.querySelector(".mini").textContent = `${found.kind.toUpperCase()} · ${Math.max(1, Math.round(found.size / 1000)).toLocaleString()} kB`;
      if (found.removed_at) {
        line.querySelector(".mini").textContent += ` · ${section.dataset.removed} ${new Date(found.removed_at).toLocaleDateString(document.documentElement.lang)}`;
        show.remove();
        take.remove();
        lines.push(line);
        continue;
      }
      take.href = found.address;
      if (found.shown) show.href = `${found.address}?show=yes`; else show.remove();
      lines.push(line);
    }
  }
  list.replaceChildren(...lines);
  section.hidden = !lines.length;
}
const papers = part("documents");
if (papers) documents(papers);

// Staying current -----------------------------------------------------------------------------------
const here = location.pathname.split("/")[2];
// Somebody is deciding: what they decide on stays as they see it. Once it is decided, all is made new.
const busy = () => document.querySelector("dialog[open]") || (part("decision") && (document.activeElement?.closest("#patients") || part("candidates")?.querySelector(".searched")));
async function refresh() {
  const answer = await fetch(`/studies/${here}/parts`, { headers: { "HX-Request": "true" } });
  if (!answer.ok) return;
  const shell = document.createElement("div");
  shell.innerHTML = await answer.text();
  const chosen = document.querySelector('input[name="target"]:checked')?.value;
  const changed = shell.querySelector("#decide")?.dataset.view !== part("decide")?.dataset.view;
  const series = shell.querySelector("#series-now");
  if (series) part("look")?.dispatchEvent(new CustomEvent("grown", { detail: series.content }));
  // Images that were removed here are not to be looked at any longer; new ones after that ask for a new page.
  if (series && part("images")?.matches("[data-gone]") && !busy()) return location.reload();
  if (shell.querySelector("#images")) part("look")?.dispatchEvent(new Event("gone"));
  for (const fresh of [...shell.children]) {
    const old = fresh.id && part(fresh.id);
    if (!old || (["identity", "decide"].includes(fresh.id) && (!changed || busy()))) continue;
    fresh.removeAttribute("hx-swap-oob");
    const open = [...old.querySelectorAll("details")].map((detail) => detail.open);
    old.replaceWith(fresh);
    fresh.querySelectorAll("details").forEach((detail, n) => { if (open[n]) detail.open = true; });
    window.htmx?.process(fresh);
    showTimes(fresh);
  }
  if (chosen) { const again = [...document.querySelectorAll('input[name="target"]')].find((input) => input.value === chosen); if (again) again.checked = true; }
  say();
  count();
}
let due = 0, refreshing = Promise.resolve();
function soon() {
  due ||= setTimeout(() => { due = 0; refreshing = refreshing.then(refresh).catch(() => { /* the next news come */ }); }, 300);
}
follow(`/live?study=${here}`, soon, undefined, soon);
document.addEventListener("htmx:oobAfterSwap", () => { say(); count(); });
say();
count();
