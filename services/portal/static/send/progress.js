// How far sending is: one line, one bar, pause and go on.

import { Pace } from "./pace.js";
import { duration, size, t } from "./words.js";

export class Progress {
  constructor(root, { pause, resume }) {
    this.root = root;
    this.line = root.querySelector(".line");
    this.figures = root.querySelector(".figures");
    this.bar = root.querySelector("progress");
    this.hint = root.querySelector(".hint");
    this.button = root.querySelector("button");
    this.title = document.title;
    this.button.addEventListener("click", () => { if (this.paused) resume(); else pause(); this.#pausedIs(!this.paused); });
  }

  start(sendings) {
    this.sendings = sendings;
    this.pace = new Pace();
    this.root.hidden = false;
    document.documentElement.dataset.sending = "yes";
    this.#pausedIs(false);
    this.timer = setInterval(() => this.#draw(), 500);
    this.#draw();
  }

  stop() {
    clearInterval(this.timer);
    this.root.hidden = true;
    delete document.documentElement.dataset.sending;
    document.title = this.title;
  }

  move() { this.dirty = true; }

  state(name, text = "") {
    this.name = name;
    if (name === "signed-out") this.#pausedIs(true);
    const hints = {
      offline: t("The server can’t be reached. It goes on by itself as soon as it can."),
      busy: text || t("The server is busy. It goes on by itself."),
      paused: t("Paused. You can go on at any time."),
      "signed-out": t("You were signed out. Sign in again in another window, then go on here."),
    };
    this.hint.textContent = hints[name] ?? t("You can close this page; the same folder chosen again goes on where it stopped.");
    this.root.classList.toggle("troubled", name in hints);
    this.bar.classList.toggle("wait", name in hints);
  }

  #pausedIs(paused) {
    this.paused = paused;
    this.button.textContent = paused ? t("Go on") : t("Pause");
  }

  #draw() {
    const total = this.sendings.reduce((sum, one) => sum + one.total, 0), sent = this.sendings.reduce((sum, one) => sum + one.sent, 0);
    this.pace.note(sent);
    // Sending is what a person does here, however long it takes.
    if (!this.paused && !this.root.classList.contains("troubled")) document.dispatchEvent(new Event("act"));
    const share = total ? sent / total : 0, speed = this.pace.speed;
    this.bar.value = share;
    const percent = `${Math.floor(share * 100)} %`;
    this.line.textContent = t("%(sent)s of %(total)s", { sent: size(sent), total: size(total) });
    const moving = this.name !== "offline" && !this.paused && speed > 0;
    this.figures.textContent = [percent, moving ? `${size(speed)}/s` : null, moving && share < 1 ? duration((total - sent) / speed) : null].filter(Boolean).join(" · ");
    document.title = `${percent} · ${this.title}`;
  }
}
