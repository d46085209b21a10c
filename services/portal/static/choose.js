// Fields in which one of very many is chosen by typing: an ARIA combobox, its choices found by the server. The
// hidden input beside it holds what a form sends, and tells of its change.

const SHOWN_AFTER = 120;

class Chooser {
  constructor(root) {
    this.root = root;
    this.input = root.querySelector("[role=combobox]");
    this.held = root.querySelector("input[type=hidden]");
    this.list = root.querySelector("[role=listbox]");
    this.none = root.querySelector(".clear");
    this.name = this.input.value;
    this.found = [];
    this.active = -1;
    this.due = 0;
    this.input.addEventListener("input", (event) => { event.stopPropagation(); if (this.input.name) this.held.value = ""; this.#soon(); });
    this.input.addEventListener("change", (event) => event.stopPropagation());
    this.input.addEventListener("focus", () => { this.input.select(); this.#soon(); });
    this.input.addEventListener("blur", () => setTimeout(() => this.#leave(), 150));
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.none?.addEventListener("click", () => { this.#take("", ""); this.input.focus(); });
  }

  #soon() {
    clearTimeout(this.due);
    this.due = setTimeout(() => this.#look(), SHOWN_AFTER);
  }

  async #look() {
    const typed = this.input.value.trim(), asked = typed === this.name ? "" : typed;
    const answer = await fetch(`/api/choose/${this.root.dataset.choose}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ q: asked.slice(0, 100) }) }).catch(() => null);
    const found = answer?.ok ? await answer.json() : [];
    if (this.input.value.trim() !== typed || document.activeElement !== this.input) return;
    this.#show(found, asked);
  }

  #show(found, asked = "") {
    this.found = found;
    this.active = found.length && asked ? 0 : -1;
    this.list.replaceChildren(...found.map((one, i) => this.#option(one, i)));
    if (!found.length && asked) this.list.append(Object.assign(document.createElement("li"), { className: "none", textContent: this.root.dataset.none }));
    const open = this.list.childElementCount > 0;
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    this.#mark();
  }

  #option(one, i) {
    const option = Object.assign(document.createElement("li"), { id: `${this.list.id}-${i}` });
    option.setAttribute("role", "option");
    const name = Object.assign(document.createElement("b"), { textContent: one.name });
    const beside = Object.assign(document.createElement("span"), { className: "mini", textContent: one.department ? this.root.dataset.department : one.beside });
    option.append(name, beside);
    option.addEventListener("mousedown", (event) => { event.preventDefault(); this.#choose(one); });
    return option;
  }

  #mark() {
    [...this.list.querySelectorAll("[role=option]")].forEach((option, i) => option.setAttribute("aria-selected", String(i === this.active)));
    if (this.active >= 0) this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.active}`);
    else this.input.removeAttribute("aria-activedescendant");
    this.list.children[this.active]?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const { length } = this.found, down = event.key === "ArrowDown";
      if (length) this.active = down ? (this.active + 1) % length : (Math.max(this.active, 0) + length - 1) % length;
      else this.#soon();
      this.#mark();
    } else if (event.key === "Enter" && !this.list.hidden) {
      event.preventDefault();
      if (this.found[this.active]) this.#choose(this.found[this.active]);
      else if (!this.input.value.trim()) this.#take("", "");
    } else if (event.key === "Escape") {
      this.input.value = this.name;
      this.#show([]);
    }
  }

  // Words that were only typed are for the form's own sending; nothing is chosen by them here.
  #leave() {
    if (document.activeElement === this.input) return;
    clearTimeout(this.due);
    if (!this.input.value.trim() && this.held.value) this.#take("", "");
    else if (!this.input.name) this.input.value = this.name;
    this.#show([]);
  }

  #choose(one) {
    this.#take(one.value, one.name);
  }

  #take(value, name) {
    clearTimeout(this.due);
    this.name = this.input.value = name;
    const changed = this.held.value !== value;
    this.held.value = value;
    if (this.none) this.none.hidden = !value;
    this.#show([]);
    if (changed) this.held.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

for (const root of document.querySelectorAll("[data-choose]")) new Chooser(root);
