// Sends one submission: opens it, sends what the server does not have yet in batches, three at a time, and
// closes it. Goes on by itself after a lost network, a restarted server or a sleeping computer.

import { batches, member, missing, parseRanges, renderRanges } from "./plan.js";
import { open as openSource } from "./sources.js";
import { Tar } from "./tar.js";
import { Answer, api, begin, NoAnswer, offsetOf, sendFrom } from "./tus.js";

const AT_ONCE = 3, LONGEST_WAIT_S = 20;
const AGAIN = new Set([408, 423, 425, 429, 500, 502, 503, 504, 507]);

export class Unreadable extends Error {
  constructor(path) { super("can't be read"); this.path = path; }
}

// files: sources in the order of sending; the place is the ordinal. events: state(name, text), progress().
export class Sending {
  constructor(files, opening, events) {
    this.files = files;
    this.opening = opening;
    this.events = events;
    this.total = files.reduce((sum, file) => sum + file.size, 0);
    this.received = new Uint8Array(files.length);
    this.durable = 0;
    this.moving = new Map();
    this.id = null;
    this.paused = false;
    this.well = false;
    this.waiters = new Set();
    addEventListener("online", () => this.wake());
  }

  // Opens, or finds again what was begun with the same files. The submission as the server has it.
  async open() {
    const files = this.files.map(({ path, size }) => ({ path, size }));
    const answer = await this.#persist(() => api("POST", "/api/submissions", { ...this.opening, files }));
    this.id = answer.id;
    this.submission = answer;
    return answer;
  }

  async run() {
    for (;;) {
      const outstanding = await this.#outstanding();
      if (outstanding.length) await this.#sendBatches(outstanding);
      try {
        const closed = await this.#persist(() => api("POST", `/api/submissions/${this.id}/close`, {}));
        this.events.state("done");
        return closed;
      } catch (error) {
        if (error.code !== "incomplete") throw error;
      }
    }
  }

  pause() {
    this.paused = true;
    this.well = false;
    this.stopper?.abort();
    this.events.state("paused");
  }

  resume() {
    this.paused = false;
    this.wake();
  }

  wake() {
    for (const waiter of this.waiters) waiter();
    this.waiters.clear();
  }

  get sent() {
    let sum = this.durable;
    for (const bytes of this.moving.values()) sum += bytes;
    return Math.min(sum, this.total);
  }

  async #outstanding() {
    const { ordinals } = await this.#persist(() => api("GET", `/api/submissions/${this.id}/ordinals`));
    this.received.fill(0);
    this.durable = 0;
    for (const [low, high] of parseRanges(ordinals)) this.#mark(low, high);
    this.events.progress();
    return missing(parseRanges(ordinals), this.files.length);
  }

  #mark(low, high) {
    for (let i = low; i <= Math.min(high, this.files.length - 1); i++) {
      if (!this.received[i]) this.durable += this.files[i].size;
      this.received[i] = 1;
    }
  }

  async #sendBatches(ordinals) {
    const { batch_bytes: batchBytes, batch_files: batchFiles } = this.submission;
    const queue = batches(this.files, ordinals, { batchBytes, batchFiles, fresh: ordinals.length === this.files.length });
    let failed = null;
    const work = async () => {
      while (queue.length && !failed) {
        try { await this.#sendBatch(queue.shift()); } catch (error) { failed ??= error; }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (failed) throw failed;
  }

  async #sendBatch(batch) {
    const upload = { url: null, plain: false };
    try {
      await this.#persist((signal) => this.#tryBatch(batch, upload, signal), batch);
      for (const ordinal of batch.ordinals) this.#mark(ordinal, ordinal);
    } catch (error) {
      if (!(error instanceof Answer) || error.code !== "ordinals-received") throw error;
    } finally {
      this.moving.delete(batch);
      this.events.progress();
    }
  }

  async #tryBatch(batch, upload, signal) {
    const tar = await this.#tarOf(batch);
    let inForm = false;
    try {
      let offset = 0;
      if (upload.url === null) upload.url = await begin(this.id, renderRanges(batch.ordinals), tar.size, signal);
      else offset = await offsetOf(upload.url, signal);
      while (offset < tar.size) {
        const body = tar.from(offset, { form: !upload.plain });
        inForm = body instanceof FormData;
        offset = await sendFrom(upload.url, body, offset, signal, (bytes) => {
          this.moving.set(batch, Math.min(batch.bytes, Math.round((bytes / tar.size) * batch.bytes)));
          if (bytes > offset) this.#goesWell();
          this.events.progress();
        });
      }
    } catch (error) {
      if (error instanceof NoAnswer && inForm) upload.plain = true; // short of file handles, forms alone fail
      if (error instanceof Answer && (error.status === 404 || error.status === 410) && upload.url !== null) {
        upload.url = null;
        throw new NoAnswer();
      }
      if (error instanceof Answer && error.code === "wrong-offset") throw new NoAnswer();
      throw error;
    }
  }

  async #tarOf(batch) {
    const files = [];
    for (const ordinal of batch.ordinals) {
      const source = this.files[ordinal];
      try {
        const blob = await openSource(source);
        files.push({ name: member(ordinal, source.path), size: source.size, blob, whole: blob === source.file ? blob : null });
      } catch { throw new Unreadable(source.path); }
    }
    return new Tar(files);
  }

  #goesWell() {
    if (this.well || this.paused) return;
    this.well = true;
    this.events.state("sending");
  }

  // Does it until the server answers for good. Waits while paused; waits longer after each failure.
  async #persist(work, batch) {
    for (let failures = 0; ;) {
      while (this.paused) await this.#sleep(3600);
      this.stopper = this.stopper?.signal.aborted === false ? this.stopper : new AbortController();
      try {
        const result = await work(this.stopper.signal);
        this.#goesWell();
        return result;
      } catch (error) {
        if (batch) this.moving.delete(batch);
        if (error.name === "AbortError") continue;
        if (error instanceof Answer && error.status === 401) { this.pause(); this.events.state("signed-out"); continue; }
        if (error instanceof Answer && !AGAIN.has(error.status)) throw error;
        if (!(error instanceof Answer || error instanceof NoAnswer)) throw error;
        if (error instanceof NoAnswer && batch) await this.#checkReadable(batch);
        failures++;
        this.well = false;
        if (failures > 1) this.events.state(error instanceof Answer ? "busy" : "offline", error.message);
        const wait = Math.min(LONGEST_WAIT_S, error.retryAfter || 0.5 * 2 ** Math.min(failures, 6));
        await this.#sleep(wait * (0.75 + Math.random() / 2));
      }
    }
  }

  // An ejected disc looks like a lost network to the browser: tell them apart.
  async #checkReadable(batch) {
    for (const ordinal of batch.ordinals) {
      const { file, at = 0, path } = this.files[ordinal];
      try { await file.slice(at, at + 1).arrayBuffer(); } catch { throw new Unreadable(path); }
    }
  }

  #sleep(seconds) {
    return new Promise((resolve) => {
      const done = () => { clearTimeout(timer); this.waiters.delete(done); resolve(); };
      const timer = setTimeout(done, seconds * 1000);
      this.waiters.add(done);
    });
  }
}
