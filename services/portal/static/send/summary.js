// What was found, before anything is sent: studies by patient, what is left out, what goes along.

import { indexCheck, middle, patientsOf } from "./grouping.js";
import { date, h, icon, notice, number, person, size, t, tn } from "./words.js";

const MOST_TILES = 4, PAGE = 50;

export class Summary {
  constructor(root, readers, changed) {
    this.root = root;
    this.readers = readers;
    this.changed = changed;
    this.cards = new Map();
    this.shown = PAGE;
    this.tiles = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) { this.tiles.unobserve(target); this.#fill(target); }
    }, { rootMargin: "200px" });
    this.waiting = new Map();
  }

  show(found, attachments, { reading }) {
    const all = [...found.studies.values()], chosen = all.filter((study) => study.chosen);
    const studies = this.closed ? chosen : all, sum = (these, of) => these.reduce((total, one) => total + of(one), 0);
    const images = sum(chosen, (study) => study.images), bytes = sum(chosen, (study) => study.bytes) + sum(attachments, (file) => file.source.size);
    const left = found.sorted?.filter((file) => !file.goes) ?? [];
    const counts = [studies.length ? tn("%(num)s image", "%(num)s images", images) : null,
      left.length ? tn("%(num)s other file left out", "%(num)s other files left out", left.length) : null, size(reading ? found.bytes : bytes)];
    const focused = this.root.contains(document.activeElement) ? document.activeElement : null;
    this.root.replaceChildren(...[
      h("div", { class: "row" }, h("h2", { class: "grow" }, reading ? t("Reading …") : this.sent ? t("What you have sent") : t("What you are about to send")), h("span", { class: "mini" }, counts.filter(Boolean).join(" · "))),
      this.#discNotice(found, reading),
      ...this.#studies(studies),
      this.#attachments(attachments),
      this.#leftOut(left),
    ].filter(Boolean));
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  #discNotice(found, reading) {
    if (reading) return null;
    const { lists, here } = indexCheck(found);
    const parts = [];
    if (lists > here) parts.push(notice("wait", h("span", {}, h("b", {}, t("The disc is not complete.")), ` ${t("Its index lists %(lists)s images, %(here)s are here. You can send what is there; the hospital sees what is missing.", { lists: number(lists), here: number(here) })}`)));
    if (found.unreadable) parts.push(notice("stop", h("span", {}, h("b", {}, tn("%(num)s file can’t be read.", "%(num)s files can’t be read.", found.unreadable)), ` ${t("Clean the disc or copy it to your computer first, then choose it again.")}`)));
    return parts.length ? h("div", { class: "stack tight" }, ...parts) : null;
  }

  #studies(studies) {
    const patients = [...patientsOf(studies)].sort(([, a], [, b]) => b.length - a.length);
    const rows = [];
    for (const [, own] of patients) {
      const { name, birth, sex, id } = own[0].patient;
      rows.push(h("h3", { class: "patient" }, person(name) || t("No name in the images"),
        h("span", { class: "mini" }, [birth ? date(birth) : null, { F: t("female"), M: t("male"), O: t("other sex") }[sex], id ? t("ID %(id)s", { id }) : null].filter(Boolean).join(" · "))));
      own.sort((a, b) => (a.date < b.date ? 1 : -1));
      for (const study of own) rows.push(this.#card(study));
    }
    if (rows.length <= this.shown) return rows;
    const more = h("button", { class: "btn", type: "button", onclick: () => { this.shown += PAGE; this.changed(); } }, t("Show more"));
    return [...rows.slice(0, this.shown), more];
  }

  #card(study) {
    const known = this.cards.get(study.key);
    const series = [...study.series.values()];
    const modalities = [...new Set(series.map((one) => one.modality).filter(Boolean))];
    const words = [study.date ? date(study.date) : null, tn("%(num)s series", "%(num)s series", series.length), tn("%(num)s image", "%(num)s images", study.images), size(study.bytes)].filter(Boolean).join(" · ");
    if (known) {
      known.words.textContent = words;
      this.#strip(known.strip, study, series);
      known.root.classList.toggle("off", !study.chosen);
      known.box.checked = study.chosen;
      return known.root;
    }
    const box = h("input", { type: "checkbox", onchange: (event) => { study.chosen = event.target.checked; this.changed(); } });
    box.checked = study.chosen;
    const card = { box, words: h("span", { class: "mini block" }, words), strip: h("span", { class: "strip", "aria-hidden": "true" }), progress: h("progress", { max: 1, value: 0, hidden: true, "aria-label": study.text || t("Study") }), look: h("span", { class: "look-link" }) };
    this.#strip(card.strip, study, series);
    card.root = h("div", { class: "card flat study" },
      h("label", { class: "study-label" }, box, card.strip,
        h("span", { class: "grow" }, h("b", {}, study.text || t("Study without a description")), card.words, card.progress), h("span", { class: "mods" }, ...modalities.slice(0, 3).map((one) => h("span", { class: "mod" }, one)))),
      card.look);
    this.cards.set(study.key, card);
    return card.root;
  }

  #strip(strip, study, series) {
    const sorted = series.toSorted((a, b) => b.images.length - a.images.length).slice(0, MOST_TILES);
    for (const one of sorted.slice(strip.childElementCount)) {
      const tile = h("span", { class: "thumb" }, h("i", { class: "tile" }, one.modality || "?"));
      strip.append(tile);
      this.waiting.set(tile, one);
      this.tiles.observe(tile);
    }
  }

  // Drawn once reading is over: the middle image is not known before.
  async #fill(tile) {
    await this.ready;
    const series = this.waiting.get(tile);
    this.waiting.delete(tile);
    const bitmap = await this.readers.preview(middle(series));
    if (!bitmap) return;
    const canvas = h("canvas", { width: bitmap.width, height: bitmap.height });
    canvas.getContext("bitmaprenderer").transferFromImageBitmap(bitmap);
    tile.replaceChildren(canvas);
  }

  #attachments(attachments) {
    if (!attachments.length) return null;
    return h("div", { class: "stack tight" }, h("h3", {}, t("Documents that go along")), h("ul", { class: "files" }, ...attachments.slice(0, 100).map((file) => h("li", {}, h("span", { class: "grow name" }, file.source.path), h("span", { class: "mini nowrap" }, size(file.source.size)),
      h("button", { class: "btn plain", type: "button", onclick: () => { file.goes = false; this.changed(); } }, t("Leave out"))))));
  }

  #leftOut(left) {
    if (!left.length) return null;
    const why = { program: t("program"), helper: t("part of the disc’s viewer"), empty: t("empty"), unknown: t("unknown kind"), unreadable: t("can’t be read"), text: t("text file"), archive: t("archive") };
    const rows = left.slice(0, 500).map((file) => h("li", {}, h("span", { class: "grow name" }, file.source.path), h("span", { class: "mini nowrap" }, why[file.kind] ?? t("part of the disc’s viewer")),
      ["unreadable", "program", "helper", "empty"].includes(file.kind) ? null : h("button", { class: "btn plain", type: "button", onclick: () => { file.goes = true; this.changed(); } }, t("Send it too"))));
    const open = this.root.querySelector("details.left-out")?.open;
    return h("details", { class: "left-out", open }, h("summary", {}, tn("%(num)s file is left out", "%(num)s files are left out", left.length), h("span", { class: "mini" }, ` ${t("viewer programs and what belongs to them")}`)), h("ul", { class: "files" }, ...rows));
  }

  lock() {
    for (const { box } of this.cards.values()) box.disabled = true;
    for (const button of this.root.querySelectorAll("button")) button.hidden = true;
  }

  progress(study, share) {
    const card = this.cards.get(study.key);
    if (!card) return;
    card.progress.hidden = false;
    card.progress.value = share;
  }

  // All of it is there: what is said of its first images is over.
  arrived() {
    for (const { look } of this.cards.values()) if (look.firstElementChild) look.firstElementChild.lastElementChild.textContent = t("Look at it");
  }

  viewable(study, id, instances) {
    const card = this.cards.get(study.key);
    if (!card) return;
    const text = instances >= study.images ? t("Look at it") : t("Look at the first %(n)s", { n: number(instances) });
    const link = card.look.firstElementChild ?? h("a", { class: "btn", href: `/studies/${id}`, target: "_blank" }, icon("eye"), h("span", {}, text));
    link.lastElementChild.textContent = text;
    if (!link.isConnected) card.look.append(link);
  }
}
