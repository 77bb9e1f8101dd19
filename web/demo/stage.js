// The picture with its boxes. The picture is an image or the camera's video; the boxes are an SVG over it in screen pixels, so
// that lines and letters stay crisp at any size. Knows nothing of requests.

import { $, svg } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { colour, ink } from "./boxes.js";

/// A picture is enlarged by at most so much.
const ENLARGED = 4;
/// With more boxes than this only the active one has its label.
const LABELLED = 80;
const LETTERS = "600 12px system-ui, sans-serif";
const LABEL = 19; // its height

const measure = document.createElement("canvas").getContext("2d");
let size = null; // of the picture in its own pixels
let boxes = [];
let active = null;
let onHover = () => {};
let onClick = () => {};

/// Listens for a box under the pointer (or null), and for a click on one.
export function listen(hover, click) {
  [onHover, onClick] = [hover, click];
}

/// Shows a blob's picture. Resolves to false when the browser cannot read it.
export async function showPicture(blob) {
  const image = $("picture");
  const address = URL.createObjectURL(blob);
  const loaded = new Promise((resolve) => {
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
  });
  image.src = address;
  const isGood = await loaded;
  // Its pixels are the image's now; the blob may go.
  URL.revokeObjectURL(address);
  if (isGood) display("picture", image.naturalWidth, image.naturalHeight);
  return isGood;
}

/// Shows a frame of that size in place of a picture that nobody can show here.
export function showBlank(width, height) {
  $("picture").removeAttribute("src");
  display("blank", width, height);
}

/// Shows the camera.
export function showVideo(video) {
  display("video", video.videoWidth, video.videoHeight);
}

/// Shows nothing.
export function clear() {
  size = null;
  boxes = [];
  $("stage").dataset.shows = "nothing";
  $("frame").hidden = true;
  $("invite").hidden = false;
  $("overlay").replaceChildren();
}

function display(what, width, height) {
  size = { width, height };
  $("stage").dataset.shows = what;
  $("invite").hidden = true;
  $("frame").hidden = false;
  $("picture").hidden = what === "video";
  $("video").hidden = what !== "video";
  fit();
}

/// Makes the frame as large as there is room for.
function fit() {
  if (!size) return;
  const room = $("stage").getBoundingClientRect();
  const height = Math.max(300, Math.min(innerHeight * 0.68, 820));
  const scale = Math.min((room.width - 2) / size.width, height / size.height, ENLARGED);
  $("frame").style.width = `${Math.round(size.width * scale)}px`;
  $("frame").style.height = `${Math.round(size.height * scale)}px`;
  redraw();
}
new ResizeObserver(fit).observe($("stage"));

/// Draws these detections of a picture of that size (the camera's may be smaller than its video).
export function draw(detections, from = size) {
  boxes = detections.map((one) => ({ ...one, from }));
  redraw();
}

/// Marks one box and fades the others; null marks none.
export function mark(k) {
  if (k === active) return;
  active = k;
  const overlay = $("overlay");
  overlay.classList.toggle("marked", active !== null);
  for (const part of overlay.querySelectorAll("[data-k]")) part.classList.toggle("on", Number(part.dataset.k) === active);
}

function redraw() {
  const overlay = $("overlay");
  const width = $("frame").clientWidth;
  const height = $("frame").clientHeight;
  overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
  $("picture").alt = size ? t("The picture, {count} boxes drawn over it", { count: boxes.length }) : "";
  overlay.classList.toggle("crowded", boxes.length > LABELLED);
  // The large ones first, so that the pointer finds a small one within; labels over all, the best last.
  const order = boxes.map((one, k) => [k, area(one.box)]).sort((a, b) => b[1] - a[1]).map(([k]) => k);
  overlay.replaceChildren(
    svg("g", {}, order.map((k) => outline(k, width, height))),
    svg("g", { class: "labels" }, labels(width, height).reverse()));
  const marked = active;
  active = undefined;
  mark(marked !== null && marked < boxes.length ? marked : null);
}

const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

/// A box in screen pixels, its edges on whole ones.
function placed({ box, from }, width, height) {
  const [x1, y1, x2, y2] = box.map((v, k) => Math.round(k % 2 ? (v * height) / from.height : (v * width) / from.width));
  return { x: x1, y: y1, width: Math.max(x2 - x1, 1), height: Math.max(y2 - y1, 1) };
}

function outline(k, width, height) {
  const one = boxes[k];
  const place = placed(one, width, height);
  const points = (one.keypoints ?? []).map(([x, y]) => svg("circle", {
    cx: (x * width) / one.from.width, cy: (y * height) / one.from.height, r: 3, fill: colour(one.class) }));
  const group = svg("g", { class: "box", "data-k": k },
    svg("rect", { ...place, rx: 3, class: "halo" }), svg("rect", { ...place, rx: 3, class: "line", stroke: colour(one.class), fill: colour(one.class) }), points);
  group.addEventListener("pointerenter", () => onHover(k));
  group.addEventListener("pointerleave", () => onHover(null));
  group.addEventListener("click", () => onClick(k));
  return group;
}

/// A label for each box, the best first: each above its box, or where no better one stands already.
function labels(width, height) {
  measure.font = LETTERS;
  const taken = [];
  return boxes.map((one, k) => {
    const place = placed(one, width, height);
    const text = `${one.label} ${one.score.toFixed(2)}`;
    const wide = Math.ceil(measure.measureText(text).width) + 12;
    const [left, right] = [place.x - 1, place.x + place.width + 1 - wide];
    const [above, below] = [place.y - LABEL - 1, place.y + place.height + 1];
    const spots = [[left, above], [right, above], [left, below], [right, below], [left, place.y + 1], [right, place.y + 1]];
    const inside = ([x, y]) => ({ x: Math.max(0, Math.min(x, width - wide)), y: Math.max(0, Math.min(y, height - LABEL)), wide });
    const fits = spots.filter(([, y]) => y >= 0 && y + LABEL <= height).map(inside);
    const spot = fits.find((spot) => !taken.some((other) => touch(spot, other))) ?? fits[0] ?? inside(spots[4]);
    taken.push(spot);
    return label(k, text, spot, colour(one.class));
  });
}

const touch = (a, b) => a.x < b.x + b.wide && b.x < a.x + a.wide && Math.abs(a.y - b.y) < LABEL;

function label(k, text, { x, y, wide }, back) {
  return svg("g", { class: "label", "data-k": k },
    svg("rect", { x, y, width: wide, height: LABEL, rx: 4, fill: back }), svg("text", { x: x + 6, y: y + 13.5, fill: ink(back) }, text));
}
