// Parts of administration that other services answer: fetched from their API and written as text.

import { toast } from "./app.js";
import { named, refused, said } from "./said.js";
import { showTimes } from "./when.js";

const failed = document.documentElement.dataset.failed;

async function ask(path, method = "GET") {
  const answer = await fetch(path, { method, headers: { accept: "application/json" } });
  const content = await answer.json().catch(() => ({}));
  // Readiness answers 503 with its findings when a door is shut.
  if (!answer.ok && content.error) throw new Error(refused(content));
  if (!answer.ok && !path.startsWith("/readyz")) throw new Error(failed);
  return content;
}

function chip(tone, text) {
  const found = document.createElement("span");
  found.className = `chip ${tone}`;
  found.textContent = text;
  return found;
}

function write(element, value) {
  const { kind, none } = element.dataset;
  if (kind === "said" && value) element.textContent = said(value);
  else if (kind === "name" && value) element.textContent = named(value);
  else if (value === null || value === undefined || value === "") element.textContent = none ?? "–";
  else if (typeof value === "boolean") element.textContent = value ? element.dataset.true : element.dataset.false;
  else if (kind === "time") {
    const time = document.createElement("time");
    time.dateTime = value;
    time.dataset.when = "";
    element.replaceChildren(time);
    showTimes(element);
  } else element.textContent = typeof value === "number" ? value.toLocaleString(document.documentElement.lang, { useGrouping: element.dataset.field !== "port" }) : value;
}

async function fillFields(place) {
  const content = await ask(place.dataset.fields);
  for (const element of place.querySelectorAll("[data-field]")) write(element, content[element.dataset.field]);
}

async function fillChecks(place) {
  const content = await ask(place.dataset.checks);
  place.replaceChildren(...Object.entries(content).sort(([, a], [, b]) => (a === null) - (b === null)).map(([name, problem]) => {
    const line = document.createElement("li"), text = document.createElement("span"), head = document.createElement("b");
    line.className = "row";
    text.className = "grow";
    head.textContent = named(name);
    text.append(head);
    if (problem) {
      const why = document.createElement("span");
      why.className = "mini block";
      why.textContent = said(problem);
      text.append(why);
    }
    line.append(text, problem ? chip("wait", place.dataset.not) : chip("ok", place.dataset.well));
    return line;
  }));
}

const filled = (text, item) => text.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(item[name] ?? ""));

async function fillList(place) {
  const items = (await ask(place.dataset.list))[place.dataset.items] ?? [];
  const template = place.querySelector("template");
  place.querySelectorAll(":scope > .line").forEach((line) => line.remove());
  place.querySelector("[data-empty]").hidden = items.length > 0;
  for (const item of items) {
    const line = template.content.firstElementChild.cloneNode(true);
    for (const element of line.querySelectorAll("[data-field]")) write(element, item[element.dataset.field]);
    for (const element of line.querySelectorAll("[data-href]")) element.href = filled(element.dataset.href, item);
    for (const element of line.querySelectorAll("[data-post]")) element.dataset.post = filled(element.dataset.post, item);
    place.append(line);
  }
}

const fill = (place) => (place.dataset.fields ? fillFields(place) : place.dataset.checks ? fillChecks(place) : fillList(place)).catch((error) => toast(error.message, "stop"));
const places = () => document.querySelectorAll("[data-fields], [data-checks], [data-list]");
places().forEach(fill);

document.addEventListener("click", async (event) => {
  const again = event.target.closest("[data-reload]");
  if (again) fill(document.getElementById(again.dataset.reload));
  const button = event.target.closest("[data-post]");
  if (!button) return;
  button.disabled = true;
  try {
    const content = await ask(button.dataset.post, "POST");
    const answer = document.getElementById(button.dataset.answer ?? "");
    if (answer) {
      answer.replaceChildren(content.ok ? chip("ok", button.dataset.well) : chip("stop", button.dataset.not));
      if (!content.ok && content.said) toast(said(content.said), "stop");
    }
    if ("reloadAfter" in button.dataset) fill(button.closest("[data-list]"));
  } catch (error) { toast(error.message, "stop"); }
  button.disabled = false;
});
