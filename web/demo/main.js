// The demo page: keeps what was asked and answered, and lets the parts show it.
//
//   sources ─▶ run ─▶ request ─▶ answer ─▶ boxes (threshold, overlap, classes) ─▶ stage, results, times, snippets

import { $, h, kept } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { number, time } from "../js/format.js";
import { Problem, problemView } from "../js/problem.js";
import { copyButton, onAbout, start } from "../js/shell.js";
import { drawStages } from "../js/stages.js";
import * as boxes from "./boxes.js";
import { Camera, NoCamera } from "./camera.js";
import { detect, fetchPicture } from "./request.js";
import { drawClasses, drawList, markRow } from "./results.js";
import { snippet } from "./snippets.js";
import { drawSamples, listenForPictures } from "./sources.js";
import * as stage from "./stage.js";
import zh from "./zh.js";

/// What is shown of an answer's text; a longer one is cut.
const RAW = 60_000;

let input = { type: "bytes", blob: null, name: "picture.jpg" };
let result = null; // {answer, text, took}
let model = null; // the model that serves
let camera = null;
let underWay = null; // an AbortController
let pressed = null; // the box that was clicked
let language = kept.get("snippet", "curl");
const off = new Set(); // classes that are not wanted

// ---- asking ----

/// Sends an input and shows the answer. A newer one ends an older one.
async function run(next) {
  stopCamera();
  underWay?.abort();
  const mine = (underWay = new AbortController());
  input = next;
  pressed = null;
  $("problem").replaceChildren();
  $("busy").hidden = false;
  drawSnippet();
  try {
    // The picture that a browser has is there before its answer is.
    const isShown = input.blob ? await stage.showPicture(input.blob) : false;
    if (isShown) stage.draw([]);
    const got = await detect(input, loose(), mine.signal);
    if (!isShown) await showAsServiceSees(got.answer, mine.signal);
    if (mine.signal.aborted) return;
    take(got);
  } catch (error) {
    if (mine.signal.aborted) return;
    fail(error, () => run(next));
  } finally {
    if (underWay === mine) $("busy").hidden = true;
  }
}

/// Of an address, a path, or a format that browsers do not read, the service has the picture.
async function showAsServiceSees(answer, signal) {
  try {
    if (answer.detections && (await stage.showPicture(await fetchPicture(input, signal)))) return;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
  stage.showBlank(answer.width, answer.height);
}

/// Asks for so much that the sliders need not ask.
const loose = () => boxes.loose(model);

function take(got) {
  result = got;
  redraw();
}

function fail(error, again) {
  const problem = error instanceof Problem ? error : new Problem({ title: String(error.message ?? error), detail: "", status: 0, code: "page", id: "" });
  $("problem").replaceChildren(problemView(problem, again));
  result = null;
  stage.draw([]);
  redraw();
}

// ---- showing ----

/// Everything that follows from the answer and the choices.
function redraw() {
  const score = Number($("score").value);
  const iou = model && model.suppresses === false ? null : Number($("iou").value);
  $("score-value").textContent = score.toFixed(2);
  $("iou-value").textContent = Number($("iou").value).toFixed(2);
  const answer = result?.answer;
  const all = answer?.detections ?? answer?.classes ?? [];
  const isClassifier = Boolean(answer?.classes) || model?.task === "classify";
  $("iou-field").hidden = isClassifier || iou === null;

  const found = isClassifier ? all.filter((one) => one.score >= score) : boxes.shown(all, { score, iou, off });
  const unfiltered = isClassifier ? [] : boxes.shown(all, { score, iou, off: new Set() });
  if (pressed !== null && pressed >= found.length) pressed = null;
  if (!isClassifier) stage.draw(found, answer);
  drawClasses(countClasses(unfiltered), toggleClass);
  drawList(found, pressed, { hover, press });
  hover(null);

  $("nothing").hidden = found.length > 0;
  $("nothing").textContent = answer ? t("Nothing at this score.") : t("Boxes and classes appear here.");
  $("summary").textContent = answer ? t("{found} of {all}", { found: found.length, all: all.length }) : "";
  $("time-card").hidden = !answer;
  $("raw-card").hidden = !answer;
  if (answer) {
    const { total, ...stages } = answer.timing_ms;
    drawStages($("times"), { ...stages, network: Math.max(0, result.took - total) });
    $("time-total").textContent = t("{service} in the service, {all} in all", { service: time(total), all: time(result.took) });
    drawRaw();
  }
  drawSnippet();
}

function countClasses(found) {
  const classes = new Map();
  for (const one of found) {
    const entry = classes.get(one.class) ?? { class: one.class, label: one.label, count: 0, isOn: !off.has(one.class) };
    entry.count++;
    classes.set(one.class, entry);
  }
  return [...classes.values()].sort((a, b) => b.count - a.count || a.class - b.class);
}

function toggleClass(number) {
  if (!off.delete(number)) off.add(number);
  redraw();
}

function drawRaw() {
  const text = result.text.replace(/\},\{/g, "},\n  {").replace(/(\[)(\{)/g, "$1\n  $2").replace(/(\}\])/g, "}\n ]").replace(/,"timing_ms"/, ',\n "timing_ms"');
  $("raw").textContent = text.length > RAW ? `${text.slice(0, RAW)}\n…` : text;
}

function drawSnippet() {
  for (const tab of $("languages").children) select(tab, tab.dataset.as === language);
  $("snippet").setAttribute("aria-labelledby", `as-${language}`);
  const options = {};
  if (model && Number($("score").value) !== round(model.score)) options.score = $("score").value;
  if (model?.task === "detect" && model.suppresses !== false && Number($("iou").value) !== round(model.iou)) options.iou = $("iou").value;
  $("snippet").textContent = snippet(language, input, location.origin, options);
}

const round = (value) => Math.round(value * 100) / 100;

function hover(k) {
  const shown = k ?? pressed;
  stage.mark(shown);
  markRow(shown);
}

function press(k) {
  pressed = pressed === k ? null : k;
  for (const row of $("list").querySelectorAll(".hit")) row.setAttribute("aria-pressed", String(Number(row.dataset.k) === pressed));
  hover(null);
}

// ---- the camera ----

async function toggleCamera() {
  if (camera) return stopCamera();
  underWay?.abort();
  $("busy").hidden = true;
  $("problem").replaceChildren();
  try {
    camera = await Camera.open();
  } catch (error) {
    if (!(error instanceof NoCamera)) throw error;
    return fail(new Problem({ title: t(error.message), detail: "", status: 0, code: "camera", id: "" }));
  }
  const mine = camera;
  input = { type: "bytes", blob: null, name: "frame.jpg" };
  stage.showVideo($("video"));
  nameCamera();
  try {
    await mine.run(loose, (got, rate) => {
      take(got);
      $("camera-rate").textContent = t("{rate} pictures a second, {took} each", { rate: number(rate), took: time(got.took) });
    });
  } catch (error) {
    stopCamera();
    fail(error, toggleCamera);
  }
}

function stopCamera() {
  if (!camera) return;
  camera.stop();
  camera = null;
  result = null;
  stage.clear();
  redraw();
  nameCamera();
}

function nameCamera() {
  $("camera").textContent = camera ? t("Stop the camera") : t("Start the camera");
  if (!camera) $("camera-rate").textContent = t("The picture goes to this service and nowhere else.");
}

// ---- tabs ----

/// One tab of a list is selected; the others are reached with the arrow keys.
function select(tab, isSelected) {
  tab.setAttribute("aria-selected", String(isSelected));
  tab.tabIndex = isSelected ? 0 : -1;
}

function tabs(list, choose) {
  list.addEventListener("click", (event) => { if (event.target.role === "tab") choose(event.target); });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...list.children];
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    choose(next);
    next.focus();
  });
}

function showPanel(tab) {
  for (const other of tab.parentElement.children) {
    select(other, other === tab);
    $(other.getAttribute("aria-controls")).hidden = other !== tab;
  }
  if (tab.id !== "tab-camera") stopCamera();
}

// ---- beginning ----

start(zh);
stage.listen(hover, press);
tabs(document.querySelector(".source [role=tablist]"), showPanel);
showPanel($("tab-picture"));
tabs($("languages"), (tab) => {
  language = tab.dataset.as;
  kept.set("snippet", language);
  drawSnippet();
});
copyButton($("same-h").parentElement, () => $("snippet").textContent);
copyButton($("raw-h").parentElement, () => result?.text ?? "");

for (const name of ["score", "iou"]) $(name).addEventListener("input", redraw);
$("camera").addEventListener("click", toggleCamera);
$("send-as").addEventListener("change", () => { if (input.blob) run({ ...input, type: sendAs() }); else { input.type = sendAs(); drawSnippet(); } });
for (const type of ["url", "path", "base64"]) {
  $(`form-${type}`).addEventListener("submit", (event) => {
    event.preventDefault();
    run({ type, text: $(type).value.trim() });
  });
}
const sendAs = () => document.querySelector("[name=send-as]:checked").value;
listenForPictures({
  picture(blob, name) {
    showPanel($("tab-picture"));
    run({ type: sendAs(), blob, name });
  },
  address(text) {
    const type = text.startsWith("data:") ? "base64" : "url";
    showPanel($(`tab-${type}`));
    $(type).value = text;
    run({ type, text });
  },
});
onAbout((about) => {
  const now = about?.model ?? model;
  if (now && now.version !== model?.version) {
    model = now;
    $("score").min = loose().score;
    $("score").value = model.score;
    $("iou").value = model.iou;
    drawSamples(about.samples);
    redraw();
  }
  if (now) {
    const input = `${now.input.width} × ${now.input.height}`;
    $("model").replaceChildren(h("b", {}, now.name), ` · ${t(now.task)} · ${input} · ${t("{count} classes", { count: now.labels })} · ${now.device}`);
  }
});
document.addEventListener("language", () => { nameCamera(); redraw(); });
redraw();
