// English and Chinese. The English text is the key: what has no translation is shown in English, and sources read as they look.
//
// In HTML: `data-t` translates an element's text, `data-t-attr="aria-label title"` its attributes. In scripts: `t("…")`. A page
// adds its own words with `add(zh)` before anything else, and redraws what it made itself on the document's "language" event.

import { kept } from "./dom.js";
import shared from "./zh.js";

const zh = { ...shared };

/// Adds a page's Chinese words.
export function add(words) {
  Object.assign(zh, words);
}

/// Whether Chinese is spoken.
export const isChinese = () => document.documentElement.lang.startsWith("zh");

/// The text in the language spoken, with `{name}` replaced by `values.name`.
export function t(text, values = {}) {
  const spoken = (isChinese() && zh[text]) || text;
  return spoken.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/// Translates what stands in the HTML below `root`. An element's own English is kept the first time it is seen.
export function translate(root = document) {
  for (const element of root.querySelectorAll("[data-t]")) {
    element.dataset.t ||= element.textContent.trim().replace(/\s+/g, " ");
    element.textContent = t(element.dataset.t);
  }
  for (const element of root.querySelectorAll("[data-t-attr]")) {
    for (const name of element.dataset.tAttr.split(" ")) {
      const key = `data-en-${name}`;
      if (!element.hasAttribute(key)) element.setAttribute(key, element.getAttribute(name));
      element.setAttribute(name, t(element.getAttribute(key)));
    }
  }
}

/// Speaks the other language from now on.
export function switchLanguage() {
  document.documentElement.lang = isChinese() ? "en" : "zh-CN";
  kept.set("language", document.documentElement.lang);
  translate();
  document.dispatchEvent(new Event("language"));
}
