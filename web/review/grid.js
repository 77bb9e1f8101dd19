// The grid: thumbnails, one of them current, any of them marked. Knows where one is and what is marked; does nothing with pictures.
//
// However many pictures there are, only those near the window have elements: rows have one height, so where a picture lies is known
// without them. What has no element any more is not loaded any further either. Every picture has its place from the beginning, an empty
// object, which becomes the picture when that comes: one can go to the end without having seen the rest.

import { h, svg } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { colour } from "../demo/boxes.js";
import { showPicture, thumb } from "./api.js";

/// Pixels above and below the window in which pictures have elements.
const NEAR = 600;
/// Pixels above and below the window in which pictures are asked for.
const AHEAD = 1600;

/// A class's colour, the same on every page of the review.
export const classColour = (name) => colour([...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) >>> 0, 7));

/// A class as people read it.
export const className = (name) => (name === "_nothing" ? t("nothing found") : name);

export class Grid {
  /// `onOpen` is called for a picture that is to be seen closer, `onMissing` when places near the window wait for their pictures.
  constructor(element, onOpen, onMissing) {
    this.element = element;
    this.onOpen = onOpen;
    this.onMissing = onMissing;
    this.pictures = [];
    this.byId = new Map();
    this.current = 0;
    this.marked = new Set();
    this.tiles = new Map(); // by a picture's place
    this.ahead = [0, 0]; // the places in which pictures are asked for
    this.due = false; // whether a drawing is
    const later = () => {
      if (!this.due) requestAnimationFrame(() => this.#draw());
      this.due = true;
    };
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(later).observe(element);
    addEventListener("resize", later);
  }

  /// Begins anew, with so many places and the first pictures.
  begin(total, pictures) {
    this.pictures = Array.from({ length: total }, () => ({}));
    this.byId.clear();
    this.current = 0;
    this.marked.clear();
    this.put(this.pictures.slice(0, pictures.length), pictures);
  }

  has(id) {
    return this.byId.has(id);
  }

  /// Places near the window that wait, side by side: at most so many, and where they begin. `null` where none does.
  missing(most) {
    const waits = (at) => this.pictures[at] !== undefined && this.pictures[at].id === undefined;
    let [from, until] = this.ahead;
    while (from < until && !waits(from)) from++;
    if (from >= until) return null;
    until = from;
    while (until - from < most && waits(until)) until++;
    while (until - from < most && waits(from - 1)) from--;
    return { from, places: this.pictures.slice(from, until) };
  }

  /// Gives places their pictures. Places for which there is none, or one that lies elsewhere already, are no more.
  put(places, pictures) {
    const empty = new Set();
    places.forEach((place, k) => {
      const picture = pictures[k];
      this.#drop(place);
      if (picture === undefined || this.byId.has(picture.id)) empty.add(place);
      else this.byId.set(picture.id, Object.assign(place, picture));
    });
    if (empty.size > 0) this.#take(empty);
    this.#draw();
  }

  /// Puts pictures back to the places they had.
  restore(places) {
    for (const [at, picture] of places) {
      this.pictures.splice(Math.min(at, this.pictures.length), 0, picture);
      this.byId.set(picture.id, picture);
    }
    if (places.length > 0) this.go(places[0][0]);
  }

  /// Takes pictures out and returns the places they had; the current one is then the next that stays.
  remove(ids) {
    const gone = new Set(ids.map((id) => this.byId.get(id)));
    const places = gone.size === 1 ? [...gone].map((one) => [this.pictures.indexOf(one), one]) : [...this.pictures.entries()];
    const left = places.filter(([at, one]) => at >= 0 && gone.has(one));
    this.#take(gone);
    for (const id of ids) {
      this.marked.delete(id);
      this.byId.delete(id);
    }
    this.#draw();
    return left;
  }

  #take(gone) {
    let before = 0;
    for (let at = 0; at < this.current; at++) if (!gone.has(this.pictures[at])) before++;
    this.pictures = this.pictures.filter((one) => !gone.has(one));
    this.current = Math.min(before, Math.max(0, this.pictures.length - 1));
  }

  /// A picture has changed and stays.
  replace(picture) {
    const place = this.byId.get(picture.id);
    if (place === undefined) return;
    this.#drop(Object.assign(place, picture));
    this.#draw();
  }

  redraw() {
    [...this.tiles.keys()].forEach((place) => this.#drop(place));
    this.#draw();
  }

  /// The pictures that an action is for: the marked ones, or the current one.
  chosen() {
    if (this.marked.size > 0) return this.pictures.filter(({ id }) => this.marked.has(id));
    return this.picture ? [this.picture] : [];
  }

  /// The current picture, if it has come.
  get picture() {
    const place = this.pictures[this.current];
    return place?.id === undefined ? null : place;
  }

  go(to, extend = false) {
    if (this.pictures.length === 0) return;
    const next = Math.max(0, Math.min(this.pictures.length - 1, to));
    if (extend) {
      const [from, until] = [Math.min(this.current, next), Math.max(this.current, next)];
      this.#markThose(this.pictures.slice(from, until + 1));
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

  /// Marks all that have come, or none where they are marked already.
  markAll() {
    const all = this.byId.size === this.marked.size;
    this.marked.clear();
    if (!all) this.#markThose(this.pictures);
    this.#draw();
  }

  #markThose(places) {
    for (const { id } of places) if (id !== undefined) this.marked.add(id);
  }

  /// Pictures side by side.
  get columns() {
    return this.#layout().columns;
  }

  focus() {
    this.tiles.get(this.pictures[this.current])?.focus({ preventScroll: true });
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
    const within = (margin) => [row(Math.floor((-margin - top) / pitch)), row(Math.ceil((innerHeight + margin - top) / pitch))];
    const [first, last] = within(NEAR);
    this.ahead = within(AHEAD).map((at) => at * columns);
    const near = this.pictures.slice(first * columns, last * columns);
    const wanted = new Set(near);
    [...this.tiles.keys()].filter((place) => !wanted.has(place)).forEach((place) => this.#drop(place));
    this.element.style.paddingTop = `${first * pitch}px`;
    this.element.style.paddingBottom = `${(rows - last) * pitch}px`;
    near.forEach((place, k) => {
      const tile = this.tiles.get(place) ?? (place.id === undefined ? this.#blank(place) : this.#tile(place));
      const at = first * columns + k;
      // What lies right is not touched: it may have the focus.
      if (this.element.children[k] !== tile) this.element.insertBefore(tile, this.element.children[k] ?? null);
      tile.tabIndex = at === this.current ? 0 : -1;
      tile.classList.toggle("current", at === this.current);
      tile.setAttribute("aria-selected", String(this.marked.has(place.id)));
      tile.setAttribute("aria-posinset", at + 1);
      tile.setAttribute("aria-setsize", this.pictures.length);
    });
    if (focused && !document.querySelector("dialog[open]")) this.focus();
    if (this.missing(1)) this.onMissing();
  }

  #drop(place) {
    const tile = this.tiles.get(place);
    tile?.dispatchEvent(new Event("dropped"));
    tile?.remove();
    this.tiles.delete(place);
  }

  /// The tile of a picture that has not come yet.
  #blank(place) {
    const tile = h("div", { className: "tile waiting", role: "option", tabIndex: -1, ariaBusy: "true", ariaLabel: t("still to come"),
      onclick: (event) => this.go(this.pictures.indexOf(place), event.shiftKey) });
    this.tiles.set(place, tile);
    return tile;
  }

  #tile(picture) {
    const at = () => this.pictures.indexOf(picture);
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
    this.tiles.set(picture, tile);
    return tile;
  }
}
