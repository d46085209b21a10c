// A quick look at a study on its page: leafing, window and level, zoom, before any viewer has started.

import { Frames, fullRange, paint, rawFrame, renderedFrame, windowOf } from "./pixels.js";

const place = document.getElementById("look");
if (place) start(place);

function start(section) {
  const { root, study } = section.dataset;
  const part = (id) => document.getElementById(id);
  const box = section.querySelector(".look"), canvas = part("look-canvas"), said = section.querySelector(".look-said");
  const slider = part("look-slider"), preset = part("look-preset"), playing = part("look-play"), inverting = part("look-invert");
  const strip = [...section.querySelectorAll("button[data-series]")];
  const frames = new Frames(), known = new Map();
  const view = { series: null, pages: [], at: 0, window: null, invert: false, zoom: 1, x: 0, y: 0, timer: 0, wanted: 0 };

  const address = (page) => `${root}/studies/${study}/series/${view.series}/instances/${page.image.uid}/frames/${page.frame}`;
  function renderedAddress(page) {
    const own = view.window && !page.colour ? `&window=${view.window.center},${view.window.width},linear` : "";
    return `${address(page)}/rendered?quality=90${own}`;
  }
  const load = (page) => page.image.raw
    ? frames.get(address(page), async () => rawFrame(await answerOf(address(page), "application/octet-stream"), page.image))
    : frames.get(renderedAddress(page), async () => renderedFrame(await answerOf(renderedAddress(page), "image/jpeg")));

  // The page asks for the list and the middle image of the first series before this script has come.
  let early = null;
  async function answerOf(place, kind) {
    const begun = early;
    early = null;
    const answer = await begun;
    if (answer?.ok && answer.headers.get("content-location") === place) return answer;
    return fetch(place, { headers: { Accept: kind } });
  }

  async function list(series) {
    if (!known.has(series)) {
      known.set(series, fetch(`${root}/quicklook/${series}`).then((answer) => { if (!answer.ok) throw new Error(answer.status); return answer.json(); }));
      known.get(series).catch(() => known.delete(series));
    }
    const { images } = await known.get(series);
    return images.flatMap((image) => Array.from({ length: image.frames }, (_, n) => ({ image, frame: n + 1 })));
  }

  async function open(button) {
    stop();
    for (const other of strip) other.setAttribute("aria-pressed", String(other === button));
    const series = button.dataset.series;
    view.series = series;
    section.dataset.state = "loading";
    part("look-series").textContent = button.dataset.name;
    let pages = [];
    try { pages = await list(series); } catch { return fail(); }
    if (view.series !== series) return;
    if (!pages.length) return fail();
    Object.assign(view, { pages, window: null, invert: false, zoom: 1, x: 0, y: 0 });
    inverting.setAttribute("aria-pressed", "false");
    preset.value = "";
    for (const group of preset.querySelectorAll("optgroup")) group.hidden = group.disabled = group.dataset.modality !== button.dataset.modality;
    slider.max = pages.length;
    playing.hidden = pages.length < 2;
    await show(Math.floor((pages.length - 1) / 2));
  }

  function fail() {
    section.dataset.state = "failed";
    said.textContent = section.dataset.failed;
    said.hidden = false;
    canvas.hidden = true;
  }

  async function show(at) {
    const wanted = ++view.wanted;
    view.at = Math.min(view.pages.length - 1, Math.max(0, at));
    const page = view.pages[view.at];
    slider.value = view.at + 1;
    let frame;
    try { frame = await load(page); } catch { if (wanted === view.wanted) fail(); return; }
    if (wanted !== view.wanted) return;
    draw(page, frame);
    ahead();
  }

  function draw(page, frame) {
    said.hidden = true;
    canvas.hidden = false;
    const window = view.window ?? windowOf(page.image, frame);
    paint(canvas, page.image, frame, window, view.invert);
    fit(page.image);
    Object.assign(page, { shown: frame, colour: frame.kind === "colour" });
    const count = view.pages.length;
    part("look-place").textContent = `${page.image.frames > 1 ? section.dataset.frame : section.dataset.image} ${view.at + 1} / ${count}`;
    part("look-window").textContent = frame.kind === "grey" || view.window ? `W ${Math.round(window.width)} L ${Math.round(window.center)}` : "";
    part("look-size").textContent = `${page.image.columns} × ${page.image.rows}`;
    if (section.dataset.state !== "ready") { section.dataset.state = "ready"; performance.mark("quicklook-first-image"); }
  }

  function fit(image) {
    const wide = image.columns || canvas.width, high = (image.rows || canvas.height) * image.aspect;
    const scale = Math.min(box.clientWidth / wide, box.clientHeight / high) * view.zoom;
    canvas.style.width = `${wide * scale}px`;
    canvas.style.height = `${high * scale}px`;
    canvas.style.transform = `translate(${view.x}px, ${view.y}px)`;
  }

  // The next few in both directions are fetched before they are asked for.
  function ahead() {
    for (const step of [1, 2, 3, 4, -1, -2]) {
      const page = view.pages[view.at + step];
      if (page) load(page).catch(() => {});
    }
  }

  const redraw = () => {
    const page = view.pages[view.at];
    if (page?.shown && page.image.raw) draw(page, page.shown); else if (page) show(view.at);
  };

  // Leafing
  function play() {
    const page = view.pages[view.at], rate = page?.image.rate || 12;
    playing.setAttribute("aria-pressed", "true");
    view.timer = setInterval(() => show((view.at + 1) % view.pages.length), 1000 / Math.min(rate, 30));
  }
  function stop() { clearInterval(view.timer); view.timer = 0; playing.setAttribute("aria-pressed", "false"); }
  slider.addEventListener("input", () => { stop(); show(Number(slider.value) - 1); });
  playing.addEventListener("click", () => (view.timer ? stop() : play()));
  section.addEventListener("gone", () => { stop(); known.clear(); view.pages = []; });
  let turned = 0;
  box.addEventListener("wheel", (event) => {
    if (view.pages.length < 2 && !event.ctrlKey) return;
    event.preventDefault();
    if (event.ctrlKey) return zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1);
    turned += event.deltaY;
    const steps = Math.trunc(turned / 40);
    if (steps) { turned -= steps * 40; stop(); show(view.at + Math.max(-3, Math.min(3, steps))); }
  }, { passive: false });

  // Window, zoom, shift
  function zoom(factor) {
    view.zoom = Math.min(12, Math.max(1, view.zoom * factor));
    if (view.zoom === 1) view.x = view.y = 0;
    const page = view.pages[view.at];
    if (page) fit(page.image);
  }
  function setWindow(window) { view.window = window; redraw(); }
  let drag = null, renderDue = 0;
  box.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    const page = view.pages[view.at];
    if (!page?.shown) return;
    box.setPointerCapture(event.pointerId);
    const touch = event.pointerType === "touch";
    drag = { x: event.clientX, y: event.clientY, from: { ...(view.window ?? windowOf(page.image, page.shown)) }, at: view.at, shift: { x: view.x, y: view.y }, kind: event.shiftKey || event.button === 1 ? "shift" : touch ? "leaf" : "window" };
  });
  box.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const right = event.clientX - drag.x, down = event.clientY - drag.y, page = view.pages[view.at];
    if (drag.kind === "leaf") { const step = Math.round(down / 14); if (drag.at + step !== view.at) { stop(); show(drag.at + step); } return; }
    if (drag.kind === "shift") { view.x = drag.shift.x + right; view.y = drag.shift.y + down; fit(page.image); return; }
    if (Math.abs(right) + Math.abs(down) < 3 || page.colour) return;
    const speed = Math.max(0.5, drag.from.width / 300);
    view.window = { width: Math.max(1, drag.from.width + right * speed), center: drag.from.center + down * speed };
    preset.value = "";
    if (page.image.raw) return draw(page, page.shown);
    clearTimeout(renderDue);
    renderDue = setTimeout(redraw, 120);
  });
  for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, () => { drag = null; });
  preset.addEventListener("change", () => {
    const page = view.pages[view.at];
    if (!page) return;
    if (preset.value === "full" && page.shown) return setWindow(fullRange(page.image, page.shown));
    const [center, width] = preset.value.split(",").map(Number);
    setWindow(width ? { center, width } : null);
  });
  function invert() { view.invert = !view.invert; inverting.setAttribute("aria-pressed", String(view.invert)); redraw(); }
  inverting.addEventListener("click", invert);
  part("look-reset").addEventListener("click", () => { Object.assign(view, { window: null, invert: false, zoom: 1, x: 0, y: 0 }); preset.value = ""; inverting.setAttribute("aria-pressed", "false"); redraw(); });

  const keys = {
    ArrowRight: () => show(view.at + 1), ArrowDown: () => show(view.at + 1), ArrowLeft: () => show(view.at - 1), ArrowUp: () => show(view.at - 1),
    PageDown: () => show(view.at + 10), PageUp: () => show(view.at - 10), Home: () => show(0), End: () => show(view.pages.length - 1),
    "+": () => zoom(1.25), "-": () => zoom(0.8), i: invert, " ": () => (view.timer ? stop() : play()),
  };
  box.addEventListener("keydown", (event) => {
    const choices = [...preset.options].filter((option) => option.value && !option.parentElement.disabled);
    const act = /^[1-9]$/.test(event.key) ? () => { const option = choices[Number(event.key) - 1]; if (option) { preset.value = option.value; preset.dispatchEvent(new Event("change")); } } : keys[event.key];
    if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); if (event.key !== " ") stop(); act(); }
  });

  // Images that came meanwhile: more of a series, or another one. What is looked at stays as it is.
  section.addEventListener("grown", ({ detail }) => {
    const place = section.querySelector(".series");
    for (const [at, made] of [...detail.children].entries()) {
      const old = strip.find((button) => button.dataset.series === made.dataset.series);
      if (!old) {
        strip.push(made);
        place.insertBefore(made, place.children[at] ?? null);
        if (!view.series && isPicture(made)) open(made);
      } else if (old.dataset.images !== made.dataset.images) {
        old.dataset.images = made.dataset.images;
        old.querySelector("i").replaceWith(made.querySelector("i"));
        known.delete(old.dataset.series);
        if (view.series === old.dataset.series) lengthen(old);
      }
    }
  });

  // The list of images may hear of them a little later than the page.
  async function lengthen(button, tries = 10) {
    const { series } = button.dataset;
    if (!view.pages.length) return open(button);
    let pages = [];
    try { pages = await list(series); } catch { /* asked again below */ }
    if (view.series !== series) return;
    if (pages.length <= view.pages.length) {
      known.delete(series);
      if (tries) setTimeout(() => { if (view.series === series) lengthen(button, tries - 1); }, 500);
      return;
    }
    const now = view.pages[view.at], at = pages.findIndex((page) => page.image.uid === now.image.uid && page.frame === now.frame);
    if (at >= 0) pages[at] = now;
    Object.assign(view, { pages, at: Math.max(0, at) });
    slider.max = pages.length;
    slider.value = view.at + 1;
    playing.hidden = pages.length < 2;
    redraw();
  }

  section.addEventListener("click", (event) => { const button = event.target.closest("button[data-series]"); if (button) open(button); });
  new ResizeObserver(() => { const page = view.pages[view.at]; if (page) fit(page.image); }).observe(box);
  const isPicture = (button) => !["SR", "PR", "KO", "DOC"].includes(button.dataset.modality);
  const pictures = strip.filter(isPicture);
  if (pictures.length) {
    early = fetch(`${root}/quicklook/${pictures[0].dataset.series}/middle`).catch(() => null);
    open(pictures[0]);
  } else fail();
}
