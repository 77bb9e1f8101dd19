// The list of what was found and the choice of classes. Draws what it is given; decides nothing.

import { $, h } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { colour } from "./boxes.js";

/// Rows beyond this are only counted.
const ROWS = 200;
/// Classes beyond this have no button.
const CHIPS = 24;

/// Buttons for the classes that are there: `{class, label, count, isOn}`; `toggle(class)` is called by a press.
export function drawClasses(classes, toggle) {
  const root = $("classes");
  root.hidden = classes.length < 2;
  const focused = document.activeElement?.dataset?.class;
  root.replaceChildren(...classes.slice(0, CHIPS).map((one) => h("button", {
    type: "button", className: "chip", "aria-pressed": String(one.isOn), data: { class: one.class }, onclick: () => toggle(one.class),
  }, h("i", { style: { background: colour(one.class) } }), h("span", {}, one.label), h("b", { className: "count" }, String(one.count)))));
  if (focused !== undefined) root.querySelector(`[data-class="${focused}"]`)?.focus();
}

/// The rows. `hover(k)` and `press(k)` are called for a row under the pointer or with the focus, and for a pressed one.
export function drawList(found, pressed, { hover, press }) {
  const list = $("list");
  const focused = list.contains(document.activeElement) ? Number(document.activeElement.dataset.k) : null;
  list.replaceChildren(...found.slice(0, ROWS).map((one, k) => h("li", {}, row(one, k, k === pressed, hover, press))));
  if (found.length > ROWS) list.append(h("li", { className: "soft small" }, t("and {count} more", { count: found.length - ROWS })));
  if (focused !== null) list.querySelector(`[data-k="${focused}"]`)?.focus();
}

function row(one, k, isPressed, hover, press) {
  const bar = h("i", { className: "bar-of" }, h("i", { style: { width: `${100 * one.score}%`, background: colour(one.class) } }));
  const size = one.box && `${Math.round(one.box[2] - one.box[0])} × ${Math.round(one.box[3] - one.box[1])}`;
  return h("button", {
    type: "button", className: "hit", data: { k }, "aria-pressed": String(isPressed), onclick: () => press(k),
    onpointerenter: () => hover(k), onpointerleave: () => hover(null), onfocus: () => hover(k), onblur: () => hover(null),
  }, h("i", { className: "swatch", style: { background: colour(one.class) } }), h("span", { className: "name" }, one.label),
  size && h("span", { className: "soft small" }, size), bar, h("span", { className: "number" }, one.score.toFixed(3)));
}

/// Marks the row of the box under the pointer.
export function markRow(k) {
  for (const row of $("list").querySelectorAll(".hit")) row.classList.toggle("on", Number(row.dataset.k) === k);
}
