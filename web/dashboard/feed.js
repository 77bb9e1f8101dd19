// The stream of figures: asks for it, hands on what comes, and asks again when it ends. A page nobody looks at does not watch.

/// How long after a refusal it is asked again, in milliseconds.
const AGAIN = 4000;
/// How long it may take until a stream that ended goes on. All of them end now and then, and come back within two seconds.
const PATIENCE = 5000;

/// Calls `history(points)` when a stream begins, `stats(document)` every second, and `gone()` when there is none.
export function watch({ history, stats, gone }) {
  let source = null;
  let again = 0;
  let late = 0;
  const close = () => {
    clearTimeout(again);
    clearTimeout(late);
    source?.close();
    source = null;
  };
  const open = () => {
    close();
    source = new EventSource("/events");
    source.addEventListener("history", (event) => history(JSON.parse(event.data)));
    source.addEventListener("stats", (event) => {
      clearTimeout(late);
      late = 0;
      stats(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      // A stream that ended comes back by itself; one that was refused does not.
      if (source?.readyState === EventSource.CLOSED) {
        gone();
        again = setTimeout(open, AGAIN);
      } else late ||= setTimeout(gone, PATIENCE);
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}
