// The review: which pictures are asked for, what is done with them, and how it is undone. Keys do everything.

import { $, h } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { bytes, count } from "../js/format.js";
import { Problem, problemView } from "../js/problem.js";
import { start } from "../js/shell.js";
import * as api from "./api.js";
import { Grid, classColour, className } from "./grid.js";
import { Single } from "./single.js";
import zh from "./zh.js";

/// Pictures of one load.
const PAGE = 200;
/// Most pictures of one change.
const MOST = 500;

const grid = new Grid($("grid"), () => open(), () => loadMore());
const single = new Single();
const done = []; // what can be undone, the last one last: batches, the places that the pictures had, and in which view
let classes = []; // in the order of their keys
let view = 0; // how often was asked for other pictures
let last = null; // the picture that had come last by then
let loading = null; // an AbortController
let awaited = false; // whether the single view waits for its picture
let chain = Promise.resolve(); // changes and loads, one after the other
let openChanges = 0;

// ---- what is shown ----

const state = () => document.querySelector("#states input:checked").value;
const filter = () => ({
  state: state(), class: $("class").value, flag: $("flag").value, order: $("order").value,
  min: $("min").value, max: $("max").value, from: $("from").value, to: $("to").value,
});

/// Asks for other pictures.
function load() {
  loading?.abort();
  view++;
  return ask(null, load, (page) => {
    last = page.last;
    $("problem").replaceChildren();
    grid.begin(page.total, page.pictures);
    look().catch(() => { /* counts stay as they are */ });
  });
}

/// Asks for pictures near the window that have not come yet.
function loadMore() {
  if (loading) return;
  const wanted = grid.missing(PAGE);
  if (wanted) ask({ skip: wanted.from, limit: wanted.places.length, until: last }, loadMore, (page) => grid.put(wanted.places, page.pictures));
}

/// Asks for a page in turn: what was changed here before it is changed there by then, and what is changed here later is not yet, so
/// that the service counts places as they were counted when it was to be asked.
function ask(part, again, take) {
  const mine = (loading = new AbortController());
  chain = chain.then(async () => {
    try {
      if (mine.signal.aborted) return;
      const page = await api.page({ ...filter(), ...(part ?? { limit: PAGE }) }, mine.signal);
      if (mine.signal.aborted) return;
      loading = null;
      take(page);
      showEnds();
      if (awaited) follow();
    } catch (error) {
      if (loading === mine) loading = null;
      if (error.name !== "AbortError") fail(error, again);
    }
  });
  return chain;
}

function showEnds() {
  $("empty").hidden = grid.pictures.length > 0;
}

/// Counts, and what can be chosen.
async function look() {
  const summary = await api.summary(state());
  for (const [name, many] of Object.entries(summary.states)) document.querySelector(`[data-count="${name}"]`).textContent = count(many);
  choices($("class"), t("all classes"), summary.classes.map(({ name, count: many }) => [name, `${className(name)} (${count(many)})`]));
  choices($("flag"), t("any quality"), summary.flags.map(({ name, count: many }) => [name, `${t(name)} (${count(many)})`]));
  const found = summary.classes.map(({ name }) => name).filter((name) => name !== "_nothing");
  classes = [...new Set([...summary.labels, ...found])];
  $("known").replaceChildren(...classes.map((name) => h("option", { value: name })));
  $("digits").replaceChildren(...classes.slice(0, 9).map((name, k) =>
    h("button", { type: "button", className: "chip", onclick: () => move(name) }, h("i", { style: { background: classColour(name) } }), h("span", {}, name), h("kbd", {}, String(k + 1)))));
  $("export").title = bytes(summary.bytes);
}

function choices(select, all, options) {
  const chosen = select.value;
  if (chosen && !options.some(([value]) => value === chosen)) options.push([chosen, `${className(chosen)} (0)`]);
  select.replaceChildren(h("option", { value: "" }, all), ...options.map(([value, text]) => h("option", { value }, text)));
  select.value = chosen;
}

function fail(error, again) {
  if (!(error instanceof Problem)) return reportError(error);
  const place = single.isOpen ? $("single-problem") : $("problem");
  place.replaceChildren(problemView(error, again));
}

const tell = (text) => { $("told").textContent = text; };

// ---- what is done ----

/// Does something with pictures: at once on the page, in turn at the service.
function act(action, pictures, more) {
  if (pictures.length === 0 || awaited) return chain;
  const stays = state() === { accept: "accepted", reject: "rejected", move: "accepted", boxes: "accepted" }[action];
  const step = { batches: [], places: stays ? [] : grid.remove(pictures.map(({ id }) => id)), view };
  showEnds();
  if (single.isOpen) follow();
  return inTurn(async () => {
    let at = 0;
    try {
      const outcomes = [];
      for (; at < pictures.length; at += MOST) {
        const receipt = await api.act(action, pictures.slice(at, at + MOST), more);
        step.batches.push(receipt.batch);
        outcomes.push(...receipt.pictures);
      }
      settle(outcomes, step, stays);
      tell(t("{count} done", { count: count(outcomes.filter(({ result }) => result === "done").length) }) + conflicts(outcomes));
    } catch (error) {
      const undone = new Set(pictures.slice(at));
      if (step.view === view) grid.restore(step.places.filter(([, picture]) => undone.has(picture)));
      fail(error);
    }
    if (step.batches.length > 0) done.push(step);
  });
}

/// Conflicts go back to where they were, as they are now.
function settle(outcomes, step, stays) {
  const back = [];
  for (const { result, picture } of outcomes) {
    if (result === "done" && stays) grid.replace(picture);
    if (result === "conflict" && picture.state === state()) {
      const place = step.places.find(([, one]) => one.id === picture.id);
      if (place) back.push([place[0], picture]);
      else grid.replace(picture);
    }
  }
  if (back.length > 0 && step.view === view) grid.restore(back);
}

function conflicts(outcomes) {
  const many = outcomes.filter(({ result }) => result !== "done").length;
  return many > 0 ? `, ${t("{count} changed by somebody else", { count: count(many) })}` : "";
}

/// Undoes the last change that is not undone. Its pictures come back to the places they had, where these are still shown.
function undo() {
  return inTurn(async () => {
    const step = done.pop();
    if (step === undefined) return tell(t("nothing to undo"));
    const outcomes = [];
    try {
      for (; step.batches.length > 0; step.batches.pop()) outcomes.push(...(await api.undo(step.batches.at(-1))).pictures);
    } catch (error) {
      done.push(step);
      fail(error);
    }
    const back = new Map(outcomes.filter(({ result }) => result === "done").map(({ picture }) => [picture.id, picture]));
    tell(t("{count} undone", { count: count(back.size) }) + conflicts(outcomes));
    if (step.view !== view) return void load();
    // What had stayed in the view may have gone from it now.
    grid.remove([...back.values()].filter(({ id, state: now }) => grid.has(id) && now !== state()).map(({ id }) => id));
    back.forEach((picture) => grid.replace(picture));
    grid.restore(step.places.filter(([, { id }]) => back.has(id)).map(([at, { id }]) => [at, back.get(id)]));
    showEnds();
    if (single.isOpen && step.places.length > 0) follow();
  });
}

function inTurn(change) {
  openChanges++;
  document.body.dataset.open = openChanges;
  chain = chain.then(change).finally(() => {
    openChanges--;
    document.body.dataset.open = openChanges;
    if (openChanges === 0) look().catch(() => { /* the next look shows it */ });
  });
  return chain;
}

/// Boxes that were mended are accepted as they are now.
const accept = () => (single.isOpen && single.changed ? saveBoxes() : act("accept", chosen()));
const reject = () => act("reject", chosen());
const move = (name) => act("move", chosen(), { class: name });
const chosen = () => (single.isOpen ? [single.picture] : grid.chosen());

function saveBoxes() {
  if ($("box-save").disabled) return void (single.changed && $("box-class").focus());
  act("boxes", [single.picture], { boxes: single.boxes.map(({ label, box }) => ({ label: label.trim(), box })) });
}

function askClass() {
  $("ask-class").value = "";
  $("ask").showModal();
  $("ask-class").focus();
}

// ---- one picture ----

function open() {
  if (grid.picture) single.show(grid.picture);
}

/// The single view goes on with what is current now, as soon as that has come.
function follow() {
  awaited = grid.pictures.length > 0 && !grid.picture;
  if (!single.isOpen) awaited = false;
  else if (grid.picture) single.show(grid.picture);
  else if (!awaited) single.close();
}

function step(by) {
  grid.go(grid.current + by);
  follow();
}

// ---- keys and buttons ----

const typing = (event) => event.target.matches("input:not([type=radio]), select, textarea");

function key(event) {
  if (event.ctrlKey || event.metaKey) {
    if (event.key === "z" && !typing(event)) { event.preventDefault(); undo(); }
    if (event.key === "a" && !typing(event) && !single.isOpen) { event.preventDefault(); grid.markAll(); tell(t("{count} marked", { count: count(grid.marked.size) })); }
    return;
  }
  if ($("ask").open || awaited || (typing(event) && event.key !== "Escape")) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const onButton = event.target.matches("button, a, summary, input");
  const both = { a: accept, x: reject, m: askClass, u: undo };
  const inGrid = {
    ArrowLeft: () => grid.go(grid.current - 1, event.shiftKey), ArrowRight: () => grid.go(grid.current + 1, event.shiftKey),
    ArrowUp: () => grid.go(grid.current - grid.columns, event.shiftKey), ArrowDown: () => grid.go(grid.current + grid.columns, event.shiftKey),
    Home: () => grid.go(0, event.shiftKey), End: () => grid.go(grid.pictures.length, event.shiftKey),
    ...(onButton ? {} : { " ": () => grid.mark(), Enter: open }),
  };
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const inSingle = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), n: () => single.add(), s: saveBoxes, Delete: () => single.remove(), Backspace: () => single.remove(),
    ArrowUp: () => single.nextBox(-1), ArrowDown: () => single.nextBox(1),
  };
  let does = { ...both, ...(single.isOpen ? inSingle : inGrid) }[pressed];
  if (single.isOpen && event.altKey && arrows[pressed]) does = () => single.nudge(...arrows[pressed], event.shiftKey);
  const digit = /^[1-9]$/.test(pressed) ? classes[Number(pressed) - 1] : undefined;
  if (digit !== undefined) does = () => move(digit);
  if (!does || (onButton && event.target.type === "radio")) return;
  event.preventDefault();
  does();
}

function wire() {
  document.addEventListener("keydown", key);
  for (const [id, does] of Object.entries({
    accept, reject, undo, open, move: askClass, close: () => single.close(), "single-accept": accept, "single-reject": reject,
    "single-move": askClass, "box-save": saveBoxes, "ask-cancel": () => $("ask").close(),
  })) $(id).addEventListener("click", does);
  $("ask-form").addEventListener("submit", () => {
    const name = $("ask-class").value.trim();
    // After the dialog has closed, so that what is current is in front again.
    queueMicrotask(() => { if (name) move(name); });
  });
  $("single").addEventListener("close", () => { awaited = false; grid.focus(); });
  for (const id of ["class", "flag", "order", "min", "max", "from", "to"]) $(id).addEventListener("change", load);
  $("states").addEventListener("change", () => { $("class").value = ""; $("flag").value = ""; load(); });
  $("export").addEventListener("change", download);
  document.addEventListener("language", () => { grid.redraw(); look().catch(() => { /* counts stay as they are */ }); });
}

async function download() {
  const format = $("export").value;
  $("export").value = "";
  if (!format) return;
  tell(t("Making the export"));
  try {
    const link = h("a", { href: URL.createObjectURL(await api.exported(format)), download: `detectd-${format}.zip` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    tell(t("The export is in your downloads."));
  } catch (error) {
    tell("");
    fail(error);
  }
}

start(zh);
wire();
load();
