// Signing out who is away. The server lets a session wait for so long; acts of a person before the page are
// reported to it, once a minute at most, and nothing else that a page asks for by itself renews it. When it is
// over, what the page shows is taken away. Pages of the viewer load this too, so it brings its own looks.

const MINUTE = 60_000, AGAIN = 15_000;
let rules = null, told = 0, deadline = 0, timer = 0, late = 0, over = false, box = null;

async function ask(method) {
  const answer = await fetch("/here", { method, headers: { accept: "application/json" }, cache: "no-store" });
  if (answer.status === 401) return strike();
  if (!answer.ok) throw new Error(answer.status);
  const found = await answer.json();
  if (found.left === null) return;
  rules = found;
  deadline = Date.now() + found.left * 1000;
  if (box && found.left > 0) uncover();
  plan();
}

const span = () => Math.min(MINUTE, rules.idle * 250);
const notice = () => deadline - Math.min(MINUTE, rules.idle * 300);

function plan() {
  clearTimeout(timer);
  const next = Date.now() < notice() ? notice() : deadline;
  timer = setTimeout(look, Math.max(500, next - Date.now()));
}

// Another window may have been used meanwhile: the server knows.
async function look() {
  if (over) return;
  try {
    await ask("GET");
    if (!over && Date.now() >= notice()) warn();
  } catch {
    if (Date.now() >= deadline) cover();
    timer = setTimeout(look, AGAIN);
  }
}

function act(event) {
  if (over || !rules || (event && !event.isTrusted)) return;
  const wait = told + span() - Date.now();
  if (wait <= 0 || box) report();
  else late ||= setTimeout(report, wait);
}

function report() {
  clearTimeout(late);
  late = 0;
  told = Date.now();
  ask("POST").catch(() => { /* asked again when the time is over */ });
}

// Looks ----------------------------------------------------------------------------------------
function make(text, looks) {
  const made = document.createElement("div");
  Object.assign(made.style, { position: "fixed", zIndex: 2147483000, font: "16px/1.5 \"Inter Variable\", system-ui, sans-serif", background: "var(--card, Canvas)", color: "var(--ink, CanvasText)", ...looks });
  made.append(...text);
  document.documentElement.append(made);
  return made;
}

function element(name, text, looks = {}) {
  const made = Object.assign(document.createElement(name), { textContent: text });
  Object.assign(made.style, looks);
  return made;
}

function warn() {
  if (box) return;
  box = make([element("span", rules.warning)], { left: "50%", top: "12px", transform: "translateX(-50%)", maxWidth: "90vw", padding: "12px 20px", borderRadius: "10px", border: "1px solid var(--wait, currentColor)", boxShadow: "0 8px 30px #0004" });
  box.setAttribute("role", "alert");
}

function uncover() {
  box.remove();
  box = null;
  document.body.style.display = "";
}

// Nothing of the page is to be seen or reached.
function cover() {
  if (box?.id === "signed-out") return;
  box?.remove();
  const here = location.pathname + location.search, link = element("a", rules.go, { display: "inline-block", padding: "10px 18px", borderRadius: "10px", background: "var(--door, CanvasText)", color: "var(--door-ink, Canvas)", fontWeight: 600, textDecoration: "none" });
  link.href = `/login?next=${encodeURIComponent(here)}`;
  if (document.documentElement.dataset.sending) link.target = "_blank";
  const words = element("main", "", { display: "block", maxWidth: "460px", margin: "18vh auto 0", padding: "0 24px" });
  words.append(element("h1", rules.title, { fontSize: "24px" }), element("p", rules.text, { margin: "8px 0 24px" }), rules.login ? link : element("p", rules.go));
  box = make([words], { inset: 0 });
  box.id = "signed-out";
  box.setAttribute("role", "alertdialog");
  box.setAttribute("aria-label", rules.title);
  document.body.style.display = "none";
  if (rules.login) link.focus();
}

// It is over. Files that were chosen for sending are kept: who signs in elsewhere goes on here.
function strike() {
  if (over || !rules) return;
  cover();
  if (document.documentElement.dataset.sending) { timer = setTimeout(look, AGAIN); return; }
  over = true;
  document.title = rules.title;
  document.body.replaceChildren();
}

for (const name of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) addEventListener(name, act, { capture: true, passive: true });
document.addEventListener("act", () => act());
document.addEventListener("visibilitychange", () => { if (!document.hidden && rules) look(); });
// A page that the browser kept and brings back may be one that is over.
addEventListener("pageshow", (event) => { if (event.persisted && rules) look(); });
told = Date.now();
ask("GET").catch(() => { timer = setTimeout(() => ask("GET").catch(() => {}), AGAIN); });
