// The send page: choosing, reading, checking, sending.

import { byPath, fromDrop, fromInput, membersOf } from "./choosing.js";
import { checksOf } from "./checks.js";
import { add, emptyFound, inOrder, patientsOf } from "./grouping.js";
import { manifestName } from "./plan.js";
import { Progress } from "./progress.js";
import { Recipients } from "./recipients.js";
import { Sending, Unreadable } from "./sending.js";
import { sortRest } from "./sorting.js";
import { keyOf } from "./sources.js";
import { Summary } from "./summary.js";
import { api } from "./tus.js";
import { begun, forget, remember } from "./unfinished.js";
import { h, notice, number, person, refusal, t, tn } from "./words.js";
import { Readers } from "./workers.js";

const page = document.getElementById("send"), form = page.querySelector("form"), drop = page.querySelector(".drop");
const summaryPlace = page.querySelector(".summary"), checksPlace = page.querySelector(".checks"), said = page.querySelector(".said"), go = page.querySelector(".btn.go");
const readers = new Readers(new URL("./reader.js", import.meta.url));
const recipients = page.querySelector(".recipients") ? new Recipients(page.querySelector(".recipients")) : null;
const state = { found: emptyFound(), known: new Set(), reading: 0, answer: "", anyway: "", documentsFor: "", again: new Map(), sendings: null };
const summary = new Summary(summaryPlace, readers, () => redraw());
const progress = new Progress(page.querySelector(".sending"), { pause: () => state.sendings.forEach((one) => one.pause()), resume: () => state.sendings.forEach((one) => one.resume()) });

// Choosing ------------------------------------------------------------------------------------

async function take(gathering) {
  if (state.sendings) return;
  said.replaceChildren();
  page.classList.add("chosen");
  state.reading++;
  redraw();
  try {
    await readAll(byPath(await gathering));
    if (!state.known.size) say("wait", t("There was nothing in it. Choose a folder, files, a ZIP or a disc."));
  } catch {
    say("stop", t("This can’t be read. Copy it to your computer first, then choose it again."));
  }
  state.reading--;
  if (state.reading) return;
  drop.querySelector(".reading").textContent = "";
  page.classList.toggle("chosen", state.known.size > 0);
  state.found.sorted = sortRest(state.found.rest, state.found.studies.size > 0);
  redraw();
  await tellBegun();
}

// Reads files, and what ZIPs and disc images among them hold in their place.
async function readAll(sources) {
  const fresh = sources.filter((source) => !state.known.has(keyOf(source)));
  for (const source of fresh) state.known.add(keyOf(source));
  const folded = [];
  let done = 0;
  await readers.read(fresh, (piece, results) => {
    piece.forEach((source, i) => {
      if (results[i].kind === "zip" || results[i].kind === "disc") folded.push([source, results[i]]);
      else add(state.found, source, results[i]);
    });
    done += piece.length;
    drop.querySelector(".reading").textContent = t("%(done)s of %(all)s files read", { done: number(done), all: number(fresh.length) });
    redrawSoon();
  });
  for (const [source, result] of folded) {
    const members = await membersOf(source, result.kind);
    if (members === null) add(state.found, source, result);
    else await readAll(members);
  }
}

for (const input of page.querySelectorAll("input[type=file]")) {
  const chosen = () => { if (input.files.length) take(fromInput([...input.files])); input.value = ""; };
  input.addEventListener("change", chosen);
  queueMicrotask(chosen);
}
page.querySelector("[data-choose=folder]").addEventListener("click", () => page.querySelector("#choose-folder").click());
page.querySelector("[data-choose=files]").addEventListener("click", () => page.querySelector("#choose-files").click());
page.querySelector("[data-choose=nothing]").addEventListener("click", () => location.reload());
for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(fromDrop(event.dataTransfer, () => { state.found.unreadable++; }));
});

// Checking ------------------------------------------------------------------------------------

let drawing = 0;
function redrawSoon() {
  drawing ||= setTimeout(redraw, 300);
}

let ready = null;
summary.ready = new Promise((resolve) => { ready = resolve; });

function redraw() {
  clearTimeout(drawing);
  drawing = 0;
  const attachments = state.found.sorted?.filter((file) => file.goes) ?? [];
  summaryPlace.hidden = !state.known.size;
  summary.show(state.found, attachments, { reading: state.reading > 0 });
  if (!state.reading && state.known.size) ready();
  const chosen = chosenStudies();
  const checks = checksOf({ studies: chosen, attachments, state, typed: form.elements.patient?.value.trim() ?? "", changed: redraw });
  checksPlace.replaceChildren(...checks.notices);
  state.open = checks.open;
  const studies = chosen.length, documents = attachments.length;
  go.disabled = state.reading > 0 || !(studies || documents);
  go.textContent = studies ? tn("Send %(num)s study", "Send %(num)s studies", studies) : documents ? tn("Send %(num)s document", "Send %(num)s documents", documents) : t("Send");
}

function chosenStudies() {
  return [...state.found.studies.values()].filter((study) => study.chosen);
}

form.elements.patient?.addEventListener("input", () => { state.anyway = ""; redrawSoon(); });

// The groups of files that become submissions: one, or one a patient.
function groups() {
  const chosen = chosenStudies(), attachments = (state.found.sorted ?? []).filter((file) => file.goes).map((file) => file.source);
  const whole = chosen.length === state.found.studies.size;
  if (state.answer !== "split") return [group(chosen, [...(whole ? state.found.directories.map((one) => one.source) : []), ...attachments])];
  const patients = [...patientsOf(chosen)];
  const owner = patients.some(([key]) => key === state.documentsFor) ? state.documentsFor : patients[0]?.[0];
  return patients.map(([key, studies]) => group(studies, key === owner ? attachments : []));
}

function group(studies, others) {
  const sorted = studies.toSorted((a, b) => (a.date < b.date ? 1 : -1));
  return { studies: sorted, files: [...sorted.flatMap(inOrder), ...others] };
}

async function tellBegun() {
  if (!state.known.size || state.sendings) return;
  const id = begun(await manifestName(groups()[0].files));
  const known = id ? await api("GET", `/api/submissions/${id}`).catch(() => null) : null;
  if (known?.state === "open") {
    say("info", t("You began to send these files. %(n)s of %(all)s are there already; send goes on with the others.", { n: number(known.files), all: number(known.declared_files) }));
  }
}

// Sending -------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.open.length) {
    checksPlace.scrollIntoView({ block: "center" });
    checksPlace.querySelector("button, input")?.focus();
    return;
  }
  send().catch(failed);
});

async function send() {
  const fields = form.elements;
  const opening = { purpose: fields.purpose?.value ?? "", urgency: fields.urgency?.value ?? "routine", note: fields.note.value, recipients: recipients?.value ?? [] };
  said.replaceChildren();
  const parts = groups();
  state.sendings = parts.map(({ files }) => new Sending(files, opening, { state: (name, text) => progress.state(name, text), progress: () => progress.move() }));
  page.classList.add("going");
  summary.closed = true;
  redraw();
  summary.lock();
  progress.start(state.sendings);
  const names = await Promise.all(parts.map(({ files }) => manifestName(files)));
  for (const [i, sending] of state.sendings.entries()) {
    let opened;
    for (;;) {
      const before = state.again.get(names[i]);
      sending.opening = { ...opening, client_id: before ? `${names[i]}-${before}` : names[i] };
      opened = await sending.open();
      if (opened.state === "open") break;
      if (opened.files >= opened.declared_files || page.dataset.guest) { askAgain(opened, names[i]); return; }
      state.again.set(names[i], opened.id);
    }
    remember(names[i], opened.id);
  }
  const lock = await navigator.wakeLock?.request("screen").catch(() => null);
  const stop = watch(parts);
  try {
    for (const sending of state.sendings) await sending.run();
  } finally {
    stop();
    lock?.release();
  }
  names.forEach(forget);
  finished();
}

function askAgain(opened, name) {
  idle();
  said.replaceChildren(notice("info", h("span", {}, h("b", {}, t("You sent exactly these files already.")), ` ${t("Nothing was sent a second time.")}`),
    h("span", { class: "row" }, h("a", { class: "btn", href: `/s/${opened.id}` }, t("See how it is doing")),
      page.dataset.guest ? null : h("button", { class: "btn plain", type: "button", onclick: () => { state.again.set(name, opened.id); send().catch(failed); } }, t("Send once more")))));
  said.scrollIntoView({ block: "nearest" });
}

// Shows on every study how far it is, and a way to look at it as soon as there is something to see.
function watch(parts) {
  let busy = false;
  const timer = setInterval(async () => {
    for (const [i, { studies }] of parts.entries()) drawShares(studies, state.sendings[i]);
    if (busy || state.sendings.some((one) => one.paused)) return;
    busy = true;
    for (const [i, { studies }] of parts.entries()) {
      const found = await api("GET", `/s/${state.sendings[i].id}/studies`).catch(() => []);
      for (const { id, uid, instances } of found) for (const study of studies) if (study.uid === uid) summary.viewable(study, id, instances);
    }
    busy = false;
  }, 1500);
  return () => { clearInterval(timer); for (const [i, { studies }] of parts.entries()) drawShares(studies, state.sendings[i]); };
}

function drawShares(studies, sending) {
  let at = 0;
  for (const study of studies) {
    let there = 0;
    for (let i = at; i < at + study.images; i++) there += sending.received[i];
    at += study.images;
    summary.progress(study, there / study.images);
  }
}

function finished() {
  if (state.sendings.length === 1) { location.assign(`/s/${state.sendings[0].id}`); return; }
  page.classList.remove("going");
  page.classList.add("done");
  summary.sent = true;
  redraw();
  summary.lock();
  summary.arrived();
  said.replaceChildren(notice("ok", h("b", {}, t("Everything has arrived.")), h("span", { class: "row" }, ...groups().map(({ studies }, i) => h("a", { class: "btn", href: `/s/${state.sendings[i].id}` }, person(studies[0].patient.name) || t("Submission %(n)s", { n: i + 1 }))))));
}

function failed(error) {
  idle();
  if (error instanceof Unreadable) say("stop", t("“%(path)s” can’t be read any more. Is the disc still in? Choose the same folder once more: what has arrived is not sent again.", { path: error.path }));
  else say("stop", refusal(error) || t("That did not work. Please try again."));
}

function idle() {
  progress.stop();
  state.sendings = null;
  summary.closed = false;
  page.classList.remove("going");
  redraw();
}

function say(tone, text) {
  said.replaceChildren(notice(tone, h("span", {}, text)));
}

redraw();
