// The grid: thumbnails, one of them current, any of them marked. Knows where one is and what is marked; does nothing with pictures.

import { h, svg } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { colour } from "../demo/boxes.js";
import { thumb } from "./api.js";

/// A class's colour, the same on every page of the review.
export const classColour = (name) => colour([...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) >>> 0, 7));

/// A class as people read it.
export const className = (name) => (name === "_nothing" ? t("nothing found") : name);

export class Grid {
  /// `onOpen` is called for a picture that is to be seen closer.
  constructor(element, onOpen) {
    this.element = element;
    this.onOpen = onOpen;
    this.items = []; // {picture, tile}
    this.current = 0;
    this.marked = new Set();
  }

  clear() {
    this.items = [];
    this.current = 0;
    this.marked.clear();
    this.element.replaceChildren();
  }

  add(pictures) {
    const items = pictures.map((picture) => ({ picture, tile: this.#tile(picture) }));
    this.items.push(...items);
    this.element.append(...items.map((item) => item.tile));
    this.#show();
  }

  /// Puts pictures back to where they were, or before the current one where that is not known.
  restore(pictures) {
    for (const picture of pictures) {
      const item = { picture, tile: this.#tile(picture) };
      const at = Math.min(this.current, this.items.length);
      this.element.insertBefore(item.tile, this.items[at]?.tile ?? null);
      this.items.splice(at, 0, item);
    }
    this.#show();
  }

  /// Takes pictures out; the current one is then the next that stays.
  remove(ids) {
    const gone = new Set(ids);
    const before = this.items.slice(0, this.current).filter(({ picture }) => !gone.has(picture.id)).length;
    for (const { picture, tile } of this.items) {
      if (gone.has(picture.id)) tile.remove();
    }
    this.items = this.items.filter(({ picture }) => !gone.has(picture.id));
    gone.forEach((id) => this.marked.delete(id));
    this.current = Math.min(before, Math.max(0, this.items.length - 1));
    this.#show();
  }

  /// A picture has changed and stays.
  replace(picture) {
    const item = this.items.find((one) => one.picture.id === picture.id);
    if (!item) return;
    const tile = this.#tile(picture);
    item.tile.replaceWith(tile);
    Object.assign(item, { picture, tile });
    this.#show();
  }

  redraw() {
    for (const { picture } of this.items) this.replace(picture);
  }

  /// The pictures that an action is for: the marked ones, or the current one.
  chosen() {
    const marked = this.items.filter(({ picture }) => this.marked.has(picture.id));
    const chosen = marked.length > 0 ? marked : this.items.slice(this.current, this.current + 1);
    return chosen.map(({ picture }) => picture);
  }

  get picture() {
    return this.items[this.current]?.picture ?? null;
  }

  go(to, extend = false) {
    if (this.items.length === 0) return;
    const next = Math.max(0, Math.min(this.items.length - 1, to));
    if (extend) {
      const [from, until] = [Math.min(this.current, next), Math.max(this.current, next)];
      for (const { picture } of this.items.slice(from, until + 1)) this.marked.add(picture.id);
    }
    this.current = next;
    this.#show();
    this.items[next].tile.scrollIntoView({ block: "nearest" });
  }

  mark(at = this.current) {
    const id = this.items[at]?.picture.id;
    if (id === undefined) return;
    if (!this.marked.delete(id)) this.marked.add(id);
    this.#show();
  }

  markAll() {
    const all = this.items.every(({ picture }) => this.marked.has(picture.id));
    this.marked = new Set(all ? [] : this.items.map(({ picture }) => picture.id));
    this.#show();
  }

  /// Pictures side by side.
  get columns() {
    const top = this.items[0]?.tile.offsetTop;
    const second = this.items.findIndex(({ tile }) => tile.offsetTop !== top);
    return second < 0 ? Math.max(1, this.items.length) : second;
  }

  focus() {
    this.items[this.current]?.tile.focus({ preventScroll: true });
  }

  #show() {
    const focused = this.element.contains(document.activeElement) || document.activeElement === document.body;
    this.items.forEach(({ picture, tile }, k) => {
      tile.tabIndex = k === this.current ? 0 : -1;
      tile.classList.toggle("current", k === this.current);
      tile.setAttribute("aria-selected", String(this.marked.has(picture.id)));
    });
    if (focused && !document.querySelector("dialog[open]")) this.focus();
  }

  #tile(picture) {
    const at = () => this.items.findIndex((item) => item.picture.id === picture.id);
    const boxes = picture.boxes ?? [];
    const frame = svg("svg", { viewBox: `0 0 ${picture.width || 1} ${picture.height || 1}`, "aria-hidden": "true" });
    for (const { label, box: [x1, y1, x2, y2] } of boxes) {
      frame.append(svg("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: classColour(label) }));
    }
    const names = [...new Set(boxes.map(({ label }) => label))];
    const facts = [`${(100 * picture.score).toFixed(0)} %`, boxes.length > 1 && `×${boxes.length}`, ...picture.flags.map((flag) => t(flag))];
    return h("div", {
      className: "tile", role: "option", data: { id: picture.id }, tabIndex: -1, title: names.join(", "),
      onclick: (event) => {
        const extend = event.shiftKey;
        this.go(at(), extend);
        if ((event.ctrlKey || event.metaKey) && !extend) this.mark();
      },
      ondblclick: () => this.onOpen(),
    },
    h("div", { className: "thumb" },
      h("div", { className: "fit" },
        h("img", { src: thumb(picture.id), loading: "lazy", decoding: "async", alt: "" }), frame)),
    h("p", {}, h("i", { style: { background: classColour(picture.class) } }), h("b", {}, className(picture.class)),
      h("span", { className: "soft number" }, facts.filter(Boolean).join(" · "))));
  }
}
