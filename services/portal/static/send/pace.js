// How fast it goes and how long it still takes, over the last seconds. Pure but for the clock.

const SPAN_MS = 8000;

export class Pace {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.points = [];
  }

  note(bytes) {
    const time = this.now();
    this.points.push([time, bytes]);
    while (this.points.length > 2 && this.points[1][0] < time - SPAN_MS) this.points.shift();
  }

  // Bytes a second; null while nothing can be said.
  get speed() {
    if (this.points.length < 2) return null;
    const [[begin, from]] = this.points, [end, to] = this.points.at(-1);
    return end - begin < 500 || to < from ? null : ((to - from) / (end - begin)) * 1000;
  }
}
