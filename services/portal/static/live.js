// News of studies that change, while somebody looks: a browser keeps only a few streams open to one
// server, so pages in the background let go of theirs and catch up when they come back.

// The first beat of a stream says that from here on nothing is missed. What changed while there was no
// stream is looked for then; `started` is called instead at the first stream of all, for pages that must
// not miss what changed since they were made. Later beats are called `beat`: now and then, without news,
// for what no event tells.
export function follow(address, changed, beat = () => {}, started = () => {}) {
  let stream = null, heard = false, before = false, again;
  function open() {
    if (stream || document.hidden) return;
    stream = new EventSource(address);
    heard = false;
    stream.addEventListener("changed", (event) => changed(event.data));
    stream.addEventListener("beat", () => {
      if (heard) return beat();
      heard = true;
      if (before) changed("");
      else started();
      before = true;
    });
    stream.addEventListener("error", () => {
      heard = false;
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
