// Beside the way of a submission: what came of the files, what a disc lists, and which files have a problem.

import { follow } from "../live.js";
import { api } from "./tus.js";
import { finding, h, notice, number, size, t, tn } from "./words.js";

const place = document.getElementById("outcome"), id = place.dataset.submission;
const MOST = 2000, HARMLESS = new Set(["disc-junk", "program", "web-page"]);
let shown = "";

async function look() {
  const head = await api("GET", `/api/submissions/${id}/outcome?limit=0`);
  const mark = JSON.stringify([head.revision, head.sent, head.stored, head.document, head.refused, head.quarantined, head.waiting, head.state]);
  if (mark === shown) return head.state;
  shown = mark;
  const files = head.refused || head.quarantined || head.waiting ? await problems() : [];
  place.replaceChildren(...[sums(head), ...head.discs.map(disc), table(files)].filter(Boolean));
  return head.state;
}

async function problems() {
  const found = [];
  for (let cursor = "", read = 0; read < 50_000;) {
    const page = await api("GET", `/api/submissions/${id}/outcome${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`);
    found.push(...page.files.filter((file) => ["refused", "quarantined", "waiting"].includes(file.state) && !HARMLESS.has(file.code)));
    read += page.files.length;
    if (!page.cursor || found.length >= MOST) break;
    cursor = page.cursor;
  }
  return found;
}

function sums(head) {
  const figure = (count, text) => (count ? h("div", {}, h("b", {}, number(count)), h("span", { class: "mini" }, text)) : null);
  return h("section", { class: "card came", "aria-label": t("What became of the files") },
    figure(head.stored + head.duplicate, tn("image kept", "images kept", head.stored + head.duplicate)), figure(head.document, tn("document kept", "documents kept", head.document)),
    figure(head.waiting, t("being checked")), figure(head.quarantined, t("put aside")), figure(head.refused, t("not taken")), figure(head.sent, t("files in all")));
}

function disc({ readable, listed, came, missing_count: missing, lost_count: lost, missing: names }) {
  if (!readable) return notice("wait", h("span", {}, t("The disc’s index can’t be read, so nobody can say whether all its images came.")));
  if (!missing && !lost) return notice("ok", h("span", {}, tn("The disc is complete: its one image came.", "The disc is complete: all %(num)s images came.", listed)));
  const parts = [h("span", {}, h("b", {}, t("The disc lists %(listed)s images, %(came)s came.", { listed: number(listed), came: number(came) })), ` ${t("Try to read the disc on another computer, or ask for a new one. What came can be used.")}`)];
  if (names.length) parts.push(h("details", {}, h("summary", {}, t("Which ones are missing")), h("ul", { class: "files code" }, ...names.slice(0, 200).map((name) => h("li", {}, name)))));
  return notice("wait", ...parts);
}

function table(files) {
  if (!files.length) return null;
  const states = { refused: ["stop", t("not taken")], quarantined: ["stop", t("put aside")], waiting: ["wait", t("waits")] };
  const rows = files.slice(0, 500).map((file) => h("tr", {}, h("td", {}, h("span", { class: "code" }, file.path), h("span", { class: "mini" }, size(file.size))),
    h("td", { "data-label": t("State") }, h("span", { class: `chip ${states[file.state][0]}` }, states[file.state][1])), h("td", { "data-label": t("What it is about") }, finding(file))));
  const more = files.length > 500 ? h("p", { class: "mini" }, t("And %(n)s more.", { n: number(files.length - 500) })) : null;
  return h("section", { class: "card table" }, h("table", { class: "fold" }, h("thead", {}, h("tr", {}, ...[t("File"), t("State"), t("What it is about")].map((text) => h("th", {}, text)))), h("tbody", {}, ...rows)), more);
}

// The part the server renders, and the files' outcome, look again when something changed; files that are
// checked without changing a study are seen at the next beat.
let due = 0, state = "", looking = Promise.resolve();
function refresh() {
  window.htmx?.trigger("#state", "refresh");
  looking = looking.then(look).then((now) => { state = now; }, () => { /* not known yet, or the server is away: the next news come */ });
}

refresh();
follow(`/s/${id}/live`, () => { clearTimeout(due); due = setTimeout(refresh, 300); }, () => { if (state !== "validated") refresh(); }, refresh);
