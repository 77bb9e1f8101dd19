// What of an answer is shown: the threshold, the overlap and the classes that were chosen, applied here, so that a slider need not
// ask the service again. Pure functions.

/// What the service is asked for, so that every choice can be made here: of a detector all but the faintest and all but the same box
/// twice, and fainter ones where the model says so itself; of a classifier its best.
export function loose(model) {
  if (model?.task === "classify") return { score: 0, top_k: 20 };
  return { score: Math.min(0.05, model?.score ?? 1), iou: 0.9, top_k: 1000 };
}

/// Detections from `score` on, of the lesser of two of a class that overlap by more than `iou` the better (unless `iou` is null),
/// best first. `off` is the set of classes that are not wanted.
export function shown(detections, { score, iou, off }) {
  const wanted = detections.filter((one) => one.score >= score && !off.has(one.class)).sort((a, b) => b.score - a.score);
  if (iou === null) return wanted;
  const kept = [];
  for (const one of wanted) {
    if (!kept.some((better) => better.class === one.class && overlap(better.box, one.box) > iou)) kept.push(one);
  }
  return kept;
}

/// Intersection over union.
export function overlap([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) {
  const width = Math.min(ax2, bx2) - Math.max(ax1, bx1);
  const height = Math.min(ay2, by2) - Math.max(ay1, by1);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - both);
}

/// Colours that stand out on a photograph and from each other.
const COLOURS = ["#ff4f4f", "#ffb31f", "#2fcc71", "#19c3da", "#4f7dff", "#c35cff", "#ff6ec4", "#b4e04a", "#ff8143", "#00b39b", "#9490ff", "#e3c800"];

/// A class's colour.
export const colour = (number) => COLOURS[number % COLOURS.length];

/// Black or white, whichever can be read on that colour.
export function ink(background) {
  const [r, g, b] = [1, 3, 5].map((k) => (parseInt(background.slice(k, k + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? "#101214" : "#ffffff";
}
