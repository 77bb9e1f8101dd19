// The stream of figures: asks for it, hands on what comes, and asks again when it ends. A page nobody looks at does not watch.

/// How long after a refusal it is asked again, in milliseconds.
const AGAIN = 4000;

/// Calls `history(points)` when a stream begins, `stats(document)` every second, and `gone()` when there is none.
export function watch({ history, stats, gone }) {
  let source = null;
  let timer = 0;
  const open = () => {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/events");
    source.addEventListener("history", (event) => history(JSON.parse(event.data)));
    source.addEventListener("stats", (event) => stats(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      gone();
      // A stream that broke comes back by itself; one that was refused does not.
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN);
    });
  };
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}
