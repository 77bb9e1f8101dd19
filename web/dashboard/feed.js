// The stream of figures: asks for it, hands on what comes, and asks again when it ends. A page that nobody looks at does not watch.
//
// Server-sent events, read here and not by the browser's own EventSource: that can neither show a key nor say why it was refused.

import { Problem, ask } from "../js/problem.js";

/// How long after a stream's end it is asked for again, in milliseconds, when the service does not say. All of them end now and then.
const AGAIN = 1500;

/// Calls `history(points)` when a stream begins, `stats(document)` every second, and `gone(problem, again)` when there is none.
export function watch({ history, stats, gone }) {
  let running = null; // an AbortController
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    running?.abort();
    running = null;
  };
  const open = async () => {
    close();
    const mine = (running = new AbortController());
    let wait = AGAIN;
    try {
      const response = await ask("/events", { signal: mine.signal, headers: { Accept: "text/event-stream" } });
      for await (const { name, data } of events(response.body)) {
        if (name === "history") history(data);
        if (name === "stats") stats(data);
      }
    } catch (error) {
      if (mine.signal.aborted) return;
      const problem = error instanceof Problem ? error : new Problem(null);
      gone(problem, open);
      // Who has to bring a key is not asked again and again.
      if (problem.document?.status === 401) return;
      wait = 1000 * (problem.retryAfter ?? 3);
    }
    if (!mine.signal.aborted) timer = setTimeout(open, wait);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}

/// The events of a body, as they come. Ours have one line of data each.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const pieces = (text + value).split("\n\n");
    text = pieces.pop();
    for (const piece of pieces) {
      const fields = Object.fromEntries(piece.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.event) yield { name: fields.event, data: JSON.parse(fields.data) };
    }
  }
}
