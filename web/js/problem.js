// What went wrong, as the service says it (RFC 9457), for people: title, detail, code, request id, and when to come back.

import { h, svg } from "./dom.js";
import { t } from "./i18n.js";

/// A refusal or failure. `document` is the problem document, null where there was no answer at all.
export class Problem extends Error {
  constructor(document, retryAfter = null) {
    super(document?.detail ?? "no answer");
    this.document = document;
    this.retryAfter = retryAfter;
  }

  /// Whether the request was at fault or came too early, and not the service.
  get isRefusal() {
    return this.document !== null && (this.document.status < 500 || this.document.status === 503);
  }
}

/// The API key, where the service wants one: kept for this tab only.
const key = {
  get() { try { return sessionStorage.getItem("key"); } catch { return null; } },
  set(value) { try { sessionStorage.setItem("key", value); } catch { /* it cannot be kept: it will be asked for again */ } },
};

/// Asks the service and gives its answer as it came. Throws a `Problem` for everything but a good one.
export async function ask(address, options = {}) {
  const headers = new Headers(options.headers);
  if (key.get()) headers.set("X-Api-Key", key.get());
  let response;
  try {
    response = await fetch(address, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(null);
  }
  if (response.ok) return response;
  const seconds = Number(response.headers.get("retry-after")) || null;
  let document;
  try {
    document = await response.json();
  } catch {
    document = { title: response.statusText || "HTTP", detail: "", status: response.status, code: String(response.status), id: "" };
  }
  throw new Problem(document, seconds);
}

/// The problem as an element; with `again`, a button to try again, which counts down when the service said when.
export function problemView(problem, again) {
  const { document } = problem;
  const title = document ? document.title : t("The service did not answer");
  const detail = document ? document.detail : t("It may be restarting, or the network is down.");
  const foot = h("footer");
  if (document) foot.append(h("code", {}, `${document.status} ${document.code}`));
  if (document?.id) foot.append(h("span", {}, t("request {id}", { id: document.id })));
  if (again) foot.append(document?.status === 401 || document?.code === "key_refused" ? keyForm(again) : againButton(again, problem.retryAfter));
  return h("div", { className: problem.isRefusal ? "problem refused" : "problem", role: "alert" },
    svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("circle", { cx: 12, cy: 12, r: 9 }), svg("path", { d: "M12 7.5v5.5M12 16.4v.1" })),
    h("strong", {}, title), h("p", {}, detail === title ? "" : detail), foot);
}

/// Where the service wants a key: a field for it, and then it is tried again.
function keyForm(again) {
  const field = h("input", { type: "text", autocomplete: "off", spellcheck: false, required: true, "aria-label": t("API key"), placeholder: t("API key") });
  const submit = (event) => {
    event.preventDefault();
    key.set(field.value.trim());
    again();
  };
  return h("form", { className: "key", onsubmit: submit }, field, h("button", {}, t("Use this key")));
}

function againButton(again, seconds) {
  const button = h("button", { type: "button", onclick: again }, t("Try again"));
  let left = seconds ?? 0;
  const tick = () => {
    button.disabled = left > 0;
    button.textContent = left > 0 ? t("Try again in {seconds} s", { seconds: left }) : t("Try again");
    if (left-- > 0) setTimeout(tick, 1000);
  };
  tick();
  return button;
}
