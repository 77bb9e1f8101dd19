// The grid: thumbnails, one of them current, any of them marked. Knows where one is and what is marked; does nothing with pictures.
//
// However many pictures there are, only those near the window have elements: rows have one height, so where a picture lies is known
// without them. What has no element any more is not loaded any further either.

import { h, svg } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { colour } from "../demo/boxes.js";
import { showPicture, thumb } from "./api.js";

/// Pixels above and below the window in which pictures have elements.
const NEAR = 600;

/// A class's colour, the same on every page of the review.
export const classColour = (name) => colour([...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) >>> 0, 7));

/// A class as people read it.
export const className = (name) => (name === "_nothing" ? t("nothing found") : name);

export class Grid {
  /// `onOpen` is called for a picture that is to be seen closer.
  constructor(element, onOpen) {
    this.element = element;
    this.onOpen = onOpen;
    this.pictures = [];
    this.current = 0;
    this.marked = new Set();
    this.tiles = new Map(); // by a picture's id
    this.due = false; // whether a drawing is
    const later = () => {
      if (!this.due) requestAnimationFrame(() => this.#draw());
      this.due = true;
    };
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(later).observe(element);
    addEventListener("resize", later);
  }

  clear() {
    this.pictures = [];
    this.current = 0;
    this.marked.clear();
    this.#draw();
  }

  has(id) {
    return this.pictures.some((picture) => picture.id === id);
  }

  add(pictures) {
    this.pictures.push(...pictures);
    this.#draw();
  }

  /// Puts pictures back before the current one.
  restore(pictures) {
    for (const picture of pictures) this.pictures.splice(Math.min(this.current, this.pictures.length), 0, picture);
    this.#draw();
  }

  /// Takes pictures out; the current one is then the next that stays.
  remove(ids) {
    const gone = new Set(ids);
    const before = this.pictures.slice(0, this.current).filter(({ id }) => !gone.has(id)).length;
    this.pictures = this.pictures.filter(({ id }) => !gone.has(id));
    gone.forEach((id) => this.marked.delete(id));
    this.current = Math.min(before, Math.max(0, this.pictures.length - 1));
    this.#draw();
  }

  /// A picture has changed and stays.
  replace(picture) {
    const at = this.pictures.findIndex(({ id }) => id === picture.id);
    if (at < 0) return;
    this.pictures[at] = picture;
    this.#drop(picture.id);
    this.#draw();
  }

  redraw() {
    [...this.tiles.keys()].forEach((id) => this.#drop(id));
    this.#draw();
  }

  /// The pictures that an action is for: the marked ones, or the current one.
  chosen() {
    const marked = this.pictures.filter(({ id }) => this.marked.has(id));
    return marked.length > 0 ? marked : this.pictures.slice(this.current, this.current + 1);
  }

  get picture() {
    return this.pictures[this.current] ?? null;
  }

  go(to, extend = false) {
    if (this.pictures.length === 0) return;
    const next = Math.max(0, Math.min(this.pictures.length - 1, to));
    if (extend) {
      const [from, until] = [Math.min(this.current, next), Math.max(this.current, next)];
      for (const { id } of this.pictures.slice(from, until + 1)) this.marked.add(id);
    }
    this.current = next;
    this.#reveal();
    this.#draw();
  }

  mark(at = this.current) {
    const id = this.pictures[at]?.id;
    if (id === undefined) return;
    if (!this.marked.delete(id)) this.marked.add(id);
    this.#draw();
  }

  markAll() {
    const all = this.pictures.every(({ id }) => this.marked.has(id));
    this.marked = new Set(all ? [] : this.pictures.map(({ id }) => id));
    this.#draw();
  }

  /// Pictures side by side.
  get columns() {
    return this.#layout().columns;
  }

  focus() {
    this.tiles.get(this.picture?.id)?.focus({ preventScroll: true });
  }

  #layout() {
    const style = getComputedStyle(this.element);
    return { columns: style.gridTemplateColumns.split(" ").length, pitch: parseFloat(style.gridAutoRows) + parseFloat(style.rowGap) };
  }

  /// Scrolls until the current picture is seen, below the bars on top.
  #reveal() {
    const { columns, pitch } = this.#layout();
    const top = this.element.getBoundingClientRect().top + Math.floor(this.current / columns) * pitch;
    const [from, until] = [parseFloat(getComputedStyle(this.element).scrollMarginTop), innerHeight - pitch];
    if (top < from) scrollBy(0, top - from);
    else if (top > until) scrollBy(0, top - until);
  }

  /// Makes the elements near the window and no others.
  #draw() {
    this.due = false;
    const focused = this.element.contains(document.activeElement) || document.activeElement === document.body;
    const { columns, pitch } = this.#layout();
    const rows = Math.ceil(this.pictures.length / columns);
    const top = this.element.getBoundingClientRect().top;
    const row = (y) => Math.max(0, Math.min(rows, y));
    const [first, last] = [row(Math.floor((-NEAR - top) / pitch)), row(Math.ceil((innerHeight + NEAR - top) / pitch))];
    const near = this.pictures.slice(first * columns, last * columns);
    const wanted = new Set(near.map(({ id }) => id));
    [...this.tiles.keys()].filter((id) => !wanted.has(id)).forEach((id) => this.#drop(id));
    this.element.style.paddingTop = `${first * pitch}px`;
    this.element.style.paddingBottom = `${(rows - last) * pitch}px`;
    near.forEach((picture, k) => {
      const tile = this.tiles.get(picture.id) ?? this.#tile(picture);
      const at = first * columns + k;
      // What lies right is not touched: it may have the focus.
      if (this.element.children[k] !== tile) this.element.insertBefore(tile, this.element.children[k] ?? null);
      tile.tabIndex = at === this.current ? 0 : -1;
      tile.classList.toggle("current", at === this.current);
      tile.setAttribute("aria-selected", String(this.marked.has(picture.id)));
      tile.setAttribute("aria-posinset", at + 1);
      tile.setAttribute("aria-setsize", this.pictures.length);
    });
    if (focused && !document.querySelector("dialog[open]")) this.focus();
  }

  #drop(id) {
    const tile = this.tiles.get(id);
    tile?.dispatchEvent(new Event("dropped"));
    tile?.remove();
    this.tiles.delete(id);
  }

  #tile(picture) {
    const at = () => this.pictures.findIndex(({ id }) => id === picture.id);
    const boxes = picture.boxes ?? [];
    const frame = svg("svg", { viewBox: `0 0 ${picture.width || 1} ${picture.height || 1}`, "aria-hidden": "true" });
    for (const { label, box: [x1, y1, x2, y2] } of boxes) {
      frame.append(svg("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: classColour(label) }));
    }
    const names = [...new Set(boxes.map(({ label }) => label))];
    const facts = [`${(100 * picture.score).toFixed(0)} %`, boxes.length > 1 && `×${boxes.length}`, ...picture.flags.map((flag) => t(flag))];
    const image = h("img", { decoding: "async", alt: "" });
    const tile = h("div", {
      className: "tile", role: "option", data: { id: picture.id }, tabIndex: -1, title: names.join(", "),
      onclick: (event) => {
        const extend = event.shiftKey;
        this.go(at(), extend);
        if ((event.ctrlKey || event.metaKey) && !extend) this.mark();
      },
      ondblclick: () => this.onOpen(),
      ondropped: showPicture(image, thumb(picture.id)),
    },
    h("div", { className: "thumb" }, h("div", { className: "fit" }, image, frame)),
    h("p", {}, h("i", { style: { background: classColour(picture.class) } }), h("b", {}, className(picture.class)),
      h("span", { className: "soft number" }, facts.filter(Boolean).join(" · "))));
    this.tiles.set(picture.id, tile);
    return tile;
  }
}
