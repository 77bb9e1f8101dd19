// One picture, as large as there is room, and its boxes to be mended: drawn with the pointer, or moved with the keyboard.

import { $, h, svg } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { image, showPicture } from "./api.js";
import { classColour, className } from "./grid.js";

/// Smallest side of a box, in pixels of the picture.
const LEAST = 2;

export class Single {
  constructor() {
    this.picture = null;
    this.boxes = [];
    this.at = -1; // the marked box
    this.changed = false;
    this.last = ""; // the class that a new box gets
    this.hide = () => {}; // ends the picture that is shown
    $("boxes").addEventListener("pointerdown", (event) => this.#press(event));
    $("box-class").addEventListener("input", () => this.#rename($("box-class").value));
    $("box-add").addEventListener("click", () => this.add());
    $("box-delete").addEventListener("click", () => this.remove());
  }

  get isOpen() {
    return $("single").open;
  }

  show(picture) {
    this.picture = picture;
    this.boxes = (picture.boxes ?? []).map(({ label, box }) => ({ label, box: [...box] }));
    this.at = this.boxes.length > 0 ? 0 : -1;
    this.changed = false;
    this.last = this.boxes[0]?.label ?? this.last;
    $("single-problem").replaceChildren();
    this.hide();
    $("image").removeAttribute("src");
    this.hide = showPicture($("image"), image(picture.id));
    $("sheet").style.aspectRatio = `${picture.width || 4} / ${picture.height || 3}`;
    $("sheet").style.maxWidth = `calc((100dvh - 48px) * ${(picture.width || 4) / (picture.height || 3)})`;
    $("boxes").setAttribute("viewBox", `0 0 ${picture.width || 1} ${picture.height || 1}`);
    $("single-title").textContent = `${className(picture.class)} · ${(100 * picture.score).toFixed(1)} %`;
    const facts = [t(picture.state), picture.time?.replace("T", " ").slice(0, 19), `${picture.width} × ${picture.height}`, picture.rule, ...picture.flags.map((flag) => t(flag))];
    $("single-facts").textContent = facts.filter(Boolean).join(" · ");
    $("box-part").hidden = picture.boxes === null || picture.boxes === undefined;
    if (!this.isOpen) $("single").showModal();
    this.draw();
  }

  close() {
    $("single").close();
    this.picture = null;
  }

  draw() {
    const unit = (this.picture.width || 1) / 500;
    $("boxes").replaceChildren(...this.boxes.map(({ label, box: [x1, y1, x2, y2] }, k) => {
      const part = svg("g", { class: k === this.at ? "marked" : "", "data-at": k },
        svg("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: classColour(label), fill: classColour(label) }));
      if (k === this.at) {
        for (const [corner, x, y] of [["nw", x1, y1], ["ne", x2, y1], ["sw", x1, y2], ["se", x2, y2]]) {
          part.append(svg("circle", { cx: x, cy: y, r: 5 * unit, "data-corner": corner, fill: classColour(label) }));
        }
      }
      return part;
    }));
    $("box-list").replaceChildren(...this.boxes.map(({ label }, k) =>
      h("li", {}, h("button", { type: "button", className: "quiet", "aria-pressed": String(k === this.at), onclick: () => this.markBox(k) },
        h("i", { style: { background: classColour(label) } }), label || t("no class yet")))));
    const marked = this.boxes[this.at];
    $("box-class").disabled = !marked;
    if ($("box-class").value !== (marked?.label ?? "")) $("box-class").value = marked?.label ?? "";
    $("box-delete").disabled = !marked;
    $("box-save").disabled = !this.changed || this.boxes.some(({ label }) => label.trim() === "");
  }

  markBox(at) {
    this.at = at;
    this.draw();
  }

  nextBox(step) {
    if (this.boxes.length > 0) this.markBox((this.at + step + this.boxes.length) % this.boxes.length);
  }

  /// A new box in the middle, to be moved from there.
  add() {
    const { width, height } = this.picture;
    this.#put([width * 0.35, height * 0.35, width * 0.65, height * 0.65]);
    if (!this.boxes[this.at].label) $("box-class").focus();
  }

  remove() {
    if (this.at < 0) return;
    this.boxes.splice(this.at, 1);
    this.at = Math.min(this.at, this.boxes.length - 1);
    this.changed = true;
    this.draw();
  }

  /// Moves the marked box, or its lower right corner.
  nudge(dx, dy, resize) {
    const marked = this.boxes[this.at];
    if (!marked) return;
    const step = Math.max(1, (this.picture.width || 1) / 200);
    const [x1, y1, x2, y2] = marked.box;
    marked.box = this.#within(resize ? [x1, y1, x2 + dx * step, y2 + dy * step] : [x1 + dx * step, y1 + dy * step, x2 + dx * step, y2 + dy * step]);
    this.changed = true;
    this.draw();
  }

  #rename(label) {
    if (this.at < 0) return;
    this.boxes[this.at].label = this.last = label;
    this.changed = true;
    this.draw();
  }

  #put(box) {
    this.boxes.push({ label: this.last, box: this.#within(box) });
    this.at = this.boxes.length - 1;
    this.changed = true;
    this.draw();
  }

  #within([x1, y1, x2, y2]) {
    const { width, height } = this.picture;
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    const [left, right] = [clamp(Math.min(x1, x2), width - LEAST), clamp(Math.max(x1, x2), width)];
    const [top, bottom] = [clamp(Math.min(y1, y2), height - LEAST), clamp(Math.max(y1, y2), height)];
    return [left, top, Math.max(right, left + LEAST), Math.max(bottom, top + LEAST)];
  }

  #press(event) {
    if ($("box-part").hidden) return;
    event.preventDefault();
    const place = (e) => {
      const frame = $("boxes").getBoundingClientRect();
      return [((e.clientX - frame.left) / frame.width) * this.picture.width, ((e.clientY - frame.top) / frame.height) * this.picture.height];
    };
    const [x, y] = place(event);
    const group = event.target.closest("g");
    const corner = event.target.dataset?.corner;
    let drag;
    if (corner) {
      const [x1, y1, x2, y2] = this.boxes[this.at].box;
      const [fx, fy] = [corner.includes("w") ? x2 : x1, corner.includes("n") ? y2 : y1];
      drag = ([px, py]) => { this.boxes[this.at].box = this.#within([fx, fy, px, py]); };
    } else if (group && Number(group.dataset.at) === this.at) {
      const from = [...this.boxes[this.at].box];
      drag = ([px, py]) => { this.boxes[this.at].box = this.#within([from[0] + px - x, from[1] + py - y, from[2] + px - x, from[3] + py - y]); };
    } else if (group) {
      return this.markBox(Number(group.dataset.at));
    } else {
      let mine = null;
      drag = ([px, py]) => {
        if (mine === null && Math.hypot(px - x, py - y) < 4) return;
        if (mine === null) { this.#put([x, y, px, py]); mine = this.at; }
        this.boxes[mine].box = this.#within([x, y, px, py]);
      };
    }
    const move = (e) => { drag(place(e)); this.changed = true; this.draw(); };
    const done = () => {
      $("boxes").removeEventListener("pointermove", move);
      if (this.boxes[this.at] && !this.boxes[this.at].label) $("box-class").focus();
    };
    $("boxes").setPointerCapture(event.pointerId);
    $("boxes").addEventListener("pointermove", move);
    $("boxes").addEventListener("pointerup", done, { once: true });
    $("boxes").addEventListener("pointercancel", done, { once: true });
  }
}
