// The dashboard: what /events says, as figures, curves and tables. Draws; computes next to nothing.

import { $, h } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { age, bytes, count, number, percent, time } from "../js/format.js";
import { problemView } from "../js/problem.js";
import { hear, start } from "../js/shell.js";
import { drawStages } from "../js/stages.js";
import * as charts from "./charts.js";
import { watch } from "./feed.js";
import zh from "./zh.js";

let stats = null; // the newest document
let before = null; // the one before it

function draw() {
  if (!stats) return;
  const { service, model, windows, visitors } = stats;
  const now = windows["10s"];
  const minute = windows["60s"];
  const today = visitors.today ?? { pv: 0, uv: 0, ip: 0 };

  tile("tps", number(now.tps), t("{qps} requests of all kinds · can do {capacity}", { qps: number(now.qps), capacity: number(service.capacity) }));
  tile("p50", time(now.rt_ms.p50), t("mean {mean}", { mean: time(now.rt_ms.mean) }));
  tile("p99", time(now.rt_ms.p99), t("p90 {p90} · longest {max}", { p90: time(now.rt_ms.p90), max: time(now.rt_ms.max) }));
  tile("concurrency", number(now.concurrency), t("at most {limit} · {queue} in the queue", { limit: count(service.concurrency_limit), queue: time(now.stages_ms.queue.mean) }));
  tile("utilisation", percent(now.engine.utilisation), model ? t("{lanes} lanes on {device}", { lanes: model.lanes, device: model.device }) : "");
  tile("pv", count(today.pv), t("{uv} visitors (UV) · {ip} addresses (IP)", { uv: count(today.uv), ip: count(today.ip) }));

  const { measured, tps_x_rt: law, error } = minute.little;
  $("little").textContent = measured > 0 ? t("counted {measured} · rate × time {law} · {error}", { measured: number(measured), law: number(law), error: signed(error) }) : "";
  $("lanes").textContent = t("{images} pictures in {batches} runs", { images: count(minute.engine.images), batches: count(minute.engine.batches) });
  $("mean").textContent = minute.requests ? t("{mean} in the last minute", { mean: time(minute.rt_ms.mean) }) : "";
  drawStages($("stages"), Object.fromEntries(Object.entries(minute.stages_ms).map(([stage, times]) => [stage, times.mean])));

  drawBars("batches", Object.entries(windows.all.engine.batch_sizes), (size) => size);
  $("batch-mean").textContent = t("mean {mean}", { mean: number(windows.all.engine.mean_batch) });
  const { full, waited, all, split } = windows.all.engine.closed;
  $("closed").textContent = t("closed: full {full} · waited {waited} · all there were {all} · split {split}", { full: count(full), waited: count(waited), all: count(all), split: count(split) });
  drawBars("inputs", Object.entries(windows.all.inputs), (type) => type);
  drawProcesses();
  drawRefused(minute.problems, windows.all.problems);
  drawDays([visitors.today, ...visitors.days].filter(Boolean));
  $("uptime").textContent = t("up {age} · version {version}", { age: age(service.uptime_s), version: service.version });
  if (model) $("model").replaceChildren(h("b", {}, model.name), ` · ${model.input.width} × ${model.input.height} · ${model.device} · ONNX Runtime ${model.runtime} · ${model.version.slice(0, 12)}`);
}

function tile(id, value, more) {
  $(id).textContent = value;
  $(`${id}-more`).textContent = more;
}

const signed = (share) => `${share < 0 ? "−" : "+"}${(100 * Math.abs(share)).toFixed(1)} %`;

/// Rows of a name, a bar and a count, and of no counts one line that says so.
function drawBars(id, entries, name) {
  const total = entries.reduce((sum, [, value]) => sum + value, 0);
  const most = Math.max(1, ...entries.map(([, value]) => value));
  $(id).replaceChildren(...(total === 0 ? [h("li", { className: "empty" }, t("Nothing yet."))] : entries.map(([key, value]) =>
    h("li", {}, h("span", {}, name(key)), h("i", { className: "bar-of" }, h("i", { style: { width: `${(100 * value) / most}%` } })), h("b", { className: "number" }, count(value))))));
}

function drawProcesses() {
  $("processes").replaceChildren(...stats.processes.map((one) => h("tr", {},
    h("td", {}, `${t(one.role)} ${one.slot}`),
    h("td", {}, h("span", { className: "pill", data: { state: one.state } }, h("span", { className: "dot" }), t(one.state))),
    right(one.pid), right(age(one.age_s)), right(one.restarts), right(bytes(one.memory_bytes)), right(bytes(one.shared_bytes)),
    right(processor(one)), right(one.connections ?? ""),
    h("td", {}, one.share === undefined ? "" : h("span", { className: "share" }, h("i", { className: "bar-of" }, h("i", { style: { width: `${100 * one.share}%` } })), h("b", { className: "number" }, percent(one.share)))))));
}

const right = (text) => h("td", { className: "right" }, String(text));

/// Share of one core since the document before.
function processor(one) {
  const then = before?.processes.find((other) => other.pid === one.pid);
  const seconds = before ? stats.service.uptime_s - before.service.uptime_s : 0;
  return then && seconds > 0.2 ? percent((one.cpu_s - then.cpu_s) / seconds) : "";
}

function drawRefused(minute, all) {
  const rows = Object.entries(all).sort((a, b) => (minute[b[0]] ?? 0) - (minute[a[0]] ?? 0) || b[1] - a[1]);
  $("refused").replaceChildren(...rows.map(([code, total]) => h("tr", {}, h("td", {}, h("code", {}, code)), right(count(minute[code])), right(count(total)))));
  $("refused-none").hidden = rows.length > 0;
}

function drawDays(days) {
  const isFirst = $("days").childElementCount === 0;
  const most = Math.max(1, ...days.map((day) => day.pv));
  $("days").replaceChildren(...days.slice(0, 14).reverse().map((day) => h("div", { className: "day" },
    h("b", { className: "number" }, count(day.pv)),
    h("span", { className: "soft small number" }, `${count(day.uv)} · ${count(day.ip)}`),
    h("i", { style: { height: `${Math.max(3, (64 * day.pv) / most)}px` } }),
    h("span", { className: "small number" }, (day.date ?? "").slice(5)))));
  // Today is on the right; where that is out of sight, it is brought there once.
  if (isFirst) $("days").scrollLeft = $("days").scrollWidth;
}

start(zh, { looks: false });
charts.make();
watch({
  history: charts.begin,
  stats(document) {
    [before, stats] = [stats, document];
    $("problem").replaceChildren();
    if (document.second) charts.add(document.second);
    hear({ state: document.service.state, model: document.model });
    draw();
  },
  gone(problem, again) {
    if (!problem.document) hear(null);
    $("problem").replaceChildren(problemView(problem, again));
  },
});
for (const change of ["theme", "language"]) {
  document.addEventListener(change, () => { charts.make(); draw(); });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", charts.make);
