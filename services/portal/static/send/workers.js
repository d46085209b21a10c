// Two readers in the background; answers come back to whoever asked.

export class Readers {
  constructor(url, count = Math.min(4, Math.max(2, (navigator.hardwareConcurrency ?? 2) - 1))) {
    this.workers = Array.from({ length: count }, () => new Worker(url, { type: "module" }));
    this.asked = new Map();
    this.next = 0;
    for (const worker of this.workers) {
      worker.addEventListener("message", ({ data }) => { this.asked.get(data.id)?.(data); this.asked.delete(data.id); });
    }
  }

  #ask(message) {
    const id = this.next++;
    return new Promise((resolve) => {
      this.asked.set(id, resolve);
      this.workers[id % this.workers.length].postMessage({ ...message, id });
    });
  }

  // Reads all, some at a time; `each(sources, results)` as they come.
  async read(sources, each) {
    const pieces = [];
    for (let at = 0; at < sources.length; at += 100) pieces.push(sources.slice(at, at + 100));
    const run = async () => {
      while (pieces.length) {
        const piece = pieces.shift();
        each(piece, (await this.#ask({ task: "read", sources: piece })).results);
      }
    };
    await Promise.all(this.workers.map(run));
  }

  async preview(source) {
    return (await this.#ask({ task: "preview", source })).bitmap;
  }
}
