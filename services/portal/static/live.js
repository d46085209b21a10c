// News of studies that change, while somebody looks: a browser keeps only a few streams open to one
// server, so pages in the background let go of theirs and catch up when they come back.

// `beat` is called now and then without news, for what no event tells.
export function follow(address, changed, beat = () => {}) {
  let stream = null, missed = false, again;
  function open() {
    if (stream || document.hidden) return;
    stream = new EventSource(address);
    stream.addEventListener("changed", (event) => changed(event.data));
    stream.addEventListener("beat", beat);
    stream.addEventListener("open", () => { if (missed) changed(""); missed = false; });
    stream.addEventListener("error", () => {
      missed = true;
      // What was refused is not asked again by the browser itself.
      if (stream?.readyState === EventSource.CLOSED) { close(); again = setTimeout(open, 60000); }
    });
  }
  function close() {
    clearTimeout(again);
    stream?.close();
    stream = null;
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    open();
    changed("");
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}
