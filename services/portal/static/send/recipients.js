// Choosing recipients by typing: persons who may receive, and departments (an ARIA combobox with chips).

import { h, t } from "./words.js";
import { api } from "./tus.js";

export class Recipients {
  constructor(root) {
    this.input = root.querySelector("input");
    this.list = root.querySelector("[role=listbox]");
    this.chips = root.querySelector(".chips");
    this.chosen = [];
    this.found = [];
    this.active = -1;
    this.input.addEventListener("input", () => this.#look());
    this.input.addEventListener("focus", () => this.#look());
    this.input.addEventListener("blur", () => setTimeout(() => this.#show([]), 150));
    this.input.addEventListener("keydown", (event) => this.#key(event));
  }

  get value() {
    return this.chosen.map(({ name, account_id, department }) => ({ name, account_id, department }));
  }

  async #look() {
    const asked = this.input.value.trim();
    const { people } = await api("POST", "/api/directory/search", { q: asked }).catch(() => ({ people: [] }));
    if (this.input.value.trim() !== asked || document.activeElement !== this.input) return;
    this.#show(people.filter((one) => !this.chosen.some((other) => same(one, other))), asked);
  }

  #show(people, asked = "") {
    this.found = people;
    this.active = people.length && asked ? 0 : -1;
    this.list.replaceChildren(...people.map((one, i) => h("li", { role: "option", id: `to-${i}`, "aria-selected": String(i === this.active), onmousedown: (event) => { event.preventDefault(); this.add(one); } },
      h("b", {}, one.name), h("span", { class: "mini" }, one.department && !one.account_id ? t("Department") : one.title))));
    if (!people.length && asked) this.list.replaceChildren(h("li", { class: "none" }, t("Nobody of this name receives images here.")));
    const open = this.list.childElementCount > 0;
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    this.#mark();
  }

  #mark() {
    [...this.list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === this.active)));
    if (this.active >= 0) this.input.setAttribute("aria-activedescendant", `to-${this.active}`);
    else this.input.removeAttribute("aria-activedescendant");
    this.list.children[this.active]?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (this.found.length) this.active = (this.active + (event.key === "ArrowDown" ? 1 : this.found.length - 1) + (this.active < 0 && event.key === "ArrowUp" ? 1 : 0)) % this.found.length;
      this.#mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (this.found[this.active]) this.add(this.found[this.active]);
    } else if (event.key === "Escape") this.#show([]);
    else if (event.key === "Backspace" && !this.input.value && this.chosen.length) this.#remove(this.chosen.at(-1));
  }

  add(one) {
    this.chosen.push(one);
    this.input.value = "";
    this.#show([]);
    this.#draw();
  }

  #remove(one) {
    this.chosen = this.chosen.filter((other) => other !== one);
    this.#draw();
    this.input.focus();
  }

  #draw() {
    this.chips.replaceChildren(...this.chosen.map((one) => h("span", { class: "chip ok" }, one.name,
      h("button", { type: "button", "aria-label": t("Remove %(name)s", { name: one.name }), onclick: () => this.#remove(one) }, "×"))));
  }
}

function same(a, b) {
  return a.account_id === b.account_id && a.department === b.department;
}
