// Times: the browser's own zone on hover, and "4 min ago" kept current, in the words the server used.

const shown = document.documentElement.lang || "en";
const language = shown === "en" ? "en-GB" : shown;
const relative = new Intl.RelativeTimeFormat(language, { style: "short", numeric: "auto" });
const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const month = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

const MINUTE = 60, HOUR = 3600, DAY = 86400;

function ago(time) {
  const seconds = (time - Date.now()) / 1000, size = Math.abs(seconds);
  if (size < MINUTE) return relative.format(0, "second");
  if (size < HOUR) return relative.format(Math.trunc(seconds / MINUTE), "minute");
  if (size < DAY) return relative.format(Math.trunc(seconds / HOUR), "hour");
  if (size < 7 * DAY) return relative.format(Math.trunc(seconds / DAY), "day");
  return month.format(time);
}

// data-when: relative; data-when="exact": date and time; data-when="clock": the time alone.
function show(element) {
  const time = new Date(element.dateTime);
  if (Number.isNaN(time.getTime())) return;
  element.title = absolute.format(time);
  const kind = element.dataset.when;
  const text = kind === "exact" ? `${month.format(time)}, ${clock.format(time)}` : kind === "clock" ? clock.format(time) : ago(time);
  if (element.textContent !== text) element.textContent = text;
}

export function showTimes(root = document) {
  root.querySelectorAll("time[data-when]").forEach(show);
}

showTimes();
setInterval(showTimes, 20_000);
document.addEventListener("htmx:load", (event) => showTimes(event.detail.elt));
