// Texts in the reader's language, numbers, sizes, dates and names; and building of elements.

const language = document.documentElement.lang || "en";
const catalogue = JSON.parse(document.getElementById("texts")?.textContent || "{}");
const numbers = new Intl.NumberFormat(language);
const ENGLISH_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const days = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

export function t(text, values = {}) {
  return fill(catalogue[text] ?? text, values);
}

export function tn(one, many, num, values = {}) {
  const [first, second] = (catalogue[`${one} | ${many}`] ?? `${one} | ${many}`).split(" | ");
  return fill(num === 1 ? first : second, { num: number(num), ...values });
}

function fill(text, values) {
  return text.replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "");
}

// What was found in a file, by its code, with its numbers; as the server says it where there are no words.
export function finding({ code, text, values = {}, count = 1 }) {
  const names = (key) => key.split("/")[1]?.split("+") ?? [];
  const keys = Object.keys(catalogue).filter((key) => (key === `finding:${code}` || key.startsWith(`finding:${code}/`)) && names(key).every((name) => values[name]));
  const sentence = catalogue[keys.sort((a, b) => names(b).length - names(a).length)[0]] ?? text;
  return fill(sentence, Object.fromEntries(Object.entries({ ...values, count }).map(([name, value]) => [name, number(value)])));
}

// Why a door refused, by its code; as the server says it where there are no words.
export function refusal({ code, message }) {
  return catalogue[`refusal:${code}`] ?? message;
}

export function number(value) {
  return numbers.format(value);
}

export function size(bytes) {
  const step = bytes >= 1e9 ? [1e9, "GB", 1] : bytes >= 1e6 ? [1e6, "MB", 0] : [1e3, "KB", 0];
  const value = bytes > 0 ? Math.max(bytes / step[0], step[2] ? 0.1 : 1) : 0;
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: step[2] }).format(value)} ${step[1]}`;
}

export function date(text) {
  const found = /^(\d{4})(\d\d)(\d\d)$/.exec(text);
  if (!found || found[2] < 1 || found[2] > 12) return text;
  if (language === "en") return `${Number(found[3])} ${ENGLISH_MONTHS[found[2] - 1]} ${found[1]}`;
  return days.format(Date.UTC(found[1], found[2] - 1, found[3]));
}

// "Morgan, Alexandra (田中 宏)" out of DICOM's Morgan^Alexandra=田中^宏.
export function person(text) {
  const [latin, ...others] = text.split("=").map((group) => group.split("^").map((part) => part.trim()));
  const western = [latin[0], latin.slice(1, 3).filter(Boolean).join(" ")].filter(Boolean).join(", ");
  const native = others.map((group) => group.filter(Boolean).join(" ")).find(Boolean);
  return [western, native ? (western ? `(${native})` : native) : ""].filter(Boolean).join(" ");
}

export function duration(seconds) {
  if (seconds < 60) return t("%(n)s s left", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t("%(n)s min left", { n: Math.round(seconds / 60) });
  return t("%(n)s h left", { n: number(Math.round(seconds / 360) / 10) });
}

// h("p", {class: "mini", onclick: …}, "text", element): texts are never markup.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// An icon of the page's own set: icons stand in <template id="icon-…">.
export function icon(name) {
  return document.getElementById(`icon-${name}`).content.firstElementChild.cloneNode(true);
}

export function notice(tone, ...children) {
  return h("div", { class: `find ${tone}`, role: tone === "stop" ? "alert" : "status" }, icon({ ok: "check", wait: "warn", stop: "stop", info: "info" }[tone]), h("div", { class: "stack tight" }, ...children));
}
