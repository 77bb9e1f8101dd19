// What every page does: marks itself in the navigation, switches language and theme, says how the service is.
//
// A page calls `start(zh)` first, with its own Chinese words, and may listen to `onAbout` for each look at /about.

import { $, h, kept } from "./dom.js";
import { Problem, ask } from "./problem.js";
import { add, isChinese, switchLanguage, t, translate } from "./i18n.js";

const listeners = new Set();
let last; // what was heard last; undefined before anything was
/// How often the service is asked how it is, in milliseconds.
const LOOK = 5000;

/// Brings the shell to life. `looks`: whether the shell looks at /about itself; a page with a stream of its own says no.
export function start(words = {}, { looks = true } = {}) {
  add(words);
  translate();
  for (const link of document.querySelectorAll(".pages a")) {
    if (new URL(link.href).pathname === location.pathname) link.setAttribute("aria-current", "page");
  }
  $("language").addEventListener("click", switchLanguage);
  document.addEventListener("language", () => {
    nameLanguage();
    if (last !== undefined) hear(last);
  });
  nameLanguage();
  $("theme").addEventListener("click", switchTheme);
  if (looks) {
    look();
    setInterval(() => { if (!document.hidden) look(); }, LOOK);
  }
}

/// Calls `listener` with `{state, model, samples}` of every look; and with null when the service does not answer.
export function onAbout(listener) {
  listeners.add(listener);
}

/// Shows how the service is: a name of its states, or "gone".
export function showState(state, text) {
  $("state").dataset.state = state;
  // Not `translate`'s any more: this text has left the HTML.
  delete $("state-text").dataset.t;
  $("state-text").removeAttribute("data-t");
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
}

async function look() {
  try {
    hear(await (await ask("/about")).json());
  } catch (error) {
    // One that wants a key first is there all the same.
    if (error instanceof Problem && error.document?.status === 401) showState("degraded", t("API key"));
    else hear(null);
  }
}

/// Tells the page and the pill what the service said of itself.
export function hear(about) {
  last = about;
  if (!about) showState("gone", t("no answer"));
  else showState(about.state, [t(about.state), about.model?.name, about.model?.simulated && t("simulated")].filter(Boolean).join(" · "));
  for (const listener of listeners) listener(about);
}

function nameLanguage() {
  const button = $("language");
  [button.textContent, button.lang] = isChinese() ? ["English", "en"] : ["中文", "zh-CN"];
}

function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  kept.set("theme", root.dataset.theme);
  document.dispatchEvent(new Event("theme"));
}

/// Puts a button that copies what `text()` gives into `parent`.
export function copyButton(parent, text) {
  const button = h("button", { type: "button", className: "quiet small end" });
  const label = () => { button.textContent = t("Copy"); };
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = t("Copied");
      setTimeout(label, 1500);
    } catch { /* not allowed here: the text can still be marked by hand */ }
  });
  document.addEventListener("language", label);
  label();
  parent.append(button);
}
