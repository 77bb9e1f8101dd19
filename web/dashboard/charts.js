// Curves over the last minutes. uPlot draws; this file says what, in which colours, and keeps the points.

import { $, h } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { number } from "../js/format.js";
import { STAGES } from "../js/stages.js";

/// Seconds that are shown.
const SHOWN = 180;
/// And at least, when not more is known yet.
const LEAST = 30;
const HEIGHT = 190;

let points = [];
let charts = [];

/// A token's colour, as it is in the theme of now.
function token(name) {
  const probe = h("i", { style: { color: `var(--${name})`, display: "none" } });
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/// The same colour, fainter.
const faint = (colour, share) => `color-mix(in srgb, ${colour} ${share}%, transparent)`;

const line = (key, label, colour, more = {}) => ({ key, label, colour, width: 1.8, ...more });

/// What each chart shows. `key` is the name in a point of /events.
const CHARTS = [
  { id: "rate", unit: "", series: [
    line("tps", "pictures", "accent", { fill: 14 }), line("qps", "requests", "stage-decode"), line("refused", "refused", "bad", { rare: true })] },
  { id: "rt", unit: " ms", series: [
    line("p99", "p99", "stage-queue"), line("p90", "p90", "stage-decode"), line("p50", "median", "accent", { fill: 14 })] },
  { id: "conc", unit: "", series: [
    line("concurrency", "counted", "accent", { fill: 14 }), line("little", "rate × time", "stage-queue", { dash: [5, 4] })] },
  { id: "busy", unit: " %", top: 100, series: [
    line("busy", "busy", "accent", { fill: 22 })] },
  { id: "split", unit: " ms", stacked: true, series:
    STAGES.filter((stage) => stage !== "network").map((stage) => line(stage, stage, `stage-${stage}`, { fill: 100, width: 0 })) },
];

/// Goes on with these points; what is known from before stays if they follow on it.
export function begin(history) {
  const first = history[0]?.t ?? Infinity;
  points = [...points.filter((point) => point.t < first - 0.5 && points.at(-1).t > first - 2), ...history];
  draw();
}

/// Adds a second.
export function add(point) {
  if (points.length > 0 && point.t <= points.at(-1).t) return;
  points.push(point);
  while (points[0].t < point.t - SHOWN - 5) points.shift();
  draw();
}

/// What a point says of `key`; null where there was nothing to measure: no picture, no time.
function value(point, key) {
  if (key === "busy") return 100 * Math.min(point.utilisation, 1);
  const isTime = key in point.stages || TIMES.has(key);
  return isTime && point.mean === 0 ? null : (point.stages[key] ?? point[key]);
}
const TIMES = new Set(["p50", "p90", "p99"]);

/// A chart's columns: times, and a column for each series. Stacked ones add up from the bottom, and are drawn from the top.
function columns(chart) {
  const times = points.map((point) => point.t);
  // Of what seldom happens there is no line while it does not.
  if (!chart.stacked) return [times, ...chart.series.map(({ key, rare }) => points.map((point) => (rare ? value(point, key) || null : value(point, key))))];
  const sums = new Array(points.length).fill(0);
  const stacked = chart.series.map(({ key }) => points.map((point, k) => (point.mean === 0 ? null : (sums[k] += value(point, key)))));
  return [times, ...stacked.reverse()];
}

function draw() {
  const now = points.at(-1)?.t ?? Date.now() / 1000;
  const from = Math.min(now - LEAST, Math.max(now - SHOWN, points[0]?.t ?? now));
  for (const { chart, plot } of charts) {
    plot.setData(columns(chart), false);
    plot.setScale("x", { min: from, max: now });
    if (!(plot.cursor.left >= 0)) plot.setLegend({ idx: points.length - 1 }, false);
    describe(chart, plot.root.parentElement);
  }
}

/// In words, for who does not see the curves: what they are at now.
function describe(chart, element) {
  const last = points.at(-1);
  if (!last) return;
  const words = chart.series.map(({ key, label }) => `${t(label)} ${show(chart, key, points.length - 1)}`);
  element.setAttribute("aria-label", words.join(", "));
}

/// Makes the charts, or makes them anew in another theme or language.
export function make() {
  for (const { plot } of charts) plot.destroy();
  charts = CHARTS.map((chart) => {
    const root = $(chart.id);
    root.setAttribute("role", "img");
    const plot = new uPlot(options(chart, root), columns(chart), root);
    return { chart, plot };
  });
  draw();
}

function options(chart, root) {
  const [soft, grid] = [token("soft"), faint(token("line"), 80)];
  const axis = { stroke: soft, font: "11.5px system-ui, sans-serif", grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  const drawn = chart.stacked ? [...chart.series].reverse() : chart.series;
  return {
    width: root.clientWidth, height: HEIGHT, padding: [8, 8, 0, 0],
    cursor: { sync: { key: "detectd" }, points: { size: 7 }, drag: { setScale: false, x: false, y: false } },
    legend: { live: true, markers: { width: 0, fill: (plot, k) => plot.series[k].stroke() } },
    scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => [0, chart.top ?? nice(high)] } },
    axes: [
      { ...axis, size: 28, space: 70, values: (_, times) => times.map((time) => new Date(time * 1000).toLocaleTimeString("en-GB")) },
      { ...axis, size: 46, space: 34, values: (_, values) => values.map((value) => (value === 0 ? "0" : number(value).replace(/\.0+$/, ""))) },
    ],
    series: [
      { label: t("time"), value: (_, time) => (time ? new Date(time * 1000).toLocaleTimeString("en-GB") : "–") },
      ...drawn.map(({ key, label, colour, width, fill, dash }) => ({
        label: t(label), stroke: token(colour), width, dash, points: { show: false }, spanGaps: chart.unit === " ms",
        fill: fill && faint(token(colour), fill),
        value: (_, __, ___, k) => show(chart, key, k),
      })),
    ],
  };
}

/// What the legend says: the value under the cursor, or the newest.
function show(chart, key, k) {
  const point = points[k ?? points.length - 1];
  const shown = point ? value(point, key) : null;
  return shown === null ? "–" : `${number(shown)}${chart.unit}`;
}

/// A round number a little above, so that the scale rests.
function nice(high) {
  if (!(high > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(high * 1.08));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((top) => top >= high * 1.04) ?? 10 * unit;
}

addEventListener("resize", () => {
  for (const { chart, plot } of charts) plot.setSize({ width: $(chart.id).clientWidth, height: HEIGHT });
});
