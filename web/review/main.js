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
/// How far below the window the next load begins, in pixels.
const AHEAD = 1600;

const grid = new Grid($("grid"), () => open());
const single = new Single();
const done = []; // batches that can be undone, the last one last
let classes = []; // in the order of their keys
let next = null; // where the next page begins
let loading = null; // an AbortController
let chain = Promise.resolve(); // changes, one after the other
let openChanges = 0;

// ---- what is shown ----

const state = () => document.querySelector("#states input:checked").value;
const filter = () => ({
  state: state(), class: $("class").value, flag: $("flag").value, order: $("order").value,
  min: $("min").value, max: $("max").value, from: $("from").value, to: $("to").value,
});

async function load() {
  loading?.abort();
  const mine = (loading = new AbortController());
  try {
    const page = await api.page(filter(), null, PAGE, mine.signal);
    $("problem").replaceChildren();
    grid.clear();
    take(page);
    await look();
  } catch (error) {
    if (error.name !== "AbortError") fail(error, load);
  } finally {
    if (loading === mine) loading = null;
  }
}

async function loadMore() {
  if (next === null || loading) return;
  const mine = (loading = new AbortController());
  try {
    take(await api.page(filter(), next, PAGE, mine.signal));
  } catch (error) {
    if (error.name !== "AbortError") fail(error, loadMore);
    return;
  } finally {
    if (loading === mine) loading = null;
  }
  // On a large screen the end may still be near.
  if ($("more").getBoundingClientRect().top < innerHeight + AHEAD) loadMore();
}

function take(page) {
  const known = new Set(grid.pictures.map(({ id }) => id));
  next = page.next;
  grid.add(page.pictures.filter(({ id }) => !known.has(id)));
  showEnds();
}

function showEnds() {
  $("empty").hidden = grid.pictures.length > 0 || next !== null;
  $("more").hidden = next === null;
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
  if (!(error instanceof Problem)) throw error;
  const place = single.isOpen ? $("single-problem") : $("problem");
  place.replaceChildren(problemView(error, again));
}

const tell = (text) => { $("told").textContent = text; };

// ---- what is done ----

/// Does something with pictures: at once on the page, in turn at the service.
function act(action, pictures, more) {
  if (pictures.length === 0) return chain;
  const ids = pictures.map(({ id }) => id);
  const stays = state() === { accept: "accepted", reject: "rejected", move: "accepted", boxes: "accepted" }[action];
  if (!stays) {
    grid.remove(ids);
    showEnds();
  }
  if (single.isOpen) follow();
  return inTurn(async () => {
    try {
      const receipt = await api.act(action, pictures, more);
      settle(receipt, stays);
      done.push(receipt.batch);
      tell(t("{count} done", { count: count(receipt.pictures.filter(({ result }) => result === "done").length) }) + conflicts(receipt));
    } catch (error) {
      if (!stays) grid.restore(pictures);
      fail(error);
    }
  });
}

/// Conflicts go back to where they were, as they are now.
function settle(receipt, stays) {
  for (const { result, picture } of receipt.pictures) {
    if (result === "done" && stays) grid.replace(picture);
    if (result === "conflict" && picture.state === state()) {
      if (grid.has(picture.id)) grid.replace(picture);
      else grid.restore([picture]);
    }
  }
}

function conflicts(receipt) {
  const many = receipt.pictures.filter(({ result }) => result !== "done").length;
  return many > 0 ? `, ${t("{count} changed by somebody else", { count: count(many) })}` : "";
}

function undo() {
  return inTurn(async () => {
    const batch = done.pop();
    if (batch === undefined) return tell(t("nothing to undo"));
    try {
      const receipt = await api.undo(batch);
      const back = receipt.pictures.filter(({ result }) => result === "done").map(({ picture }) => picture);
      const [here, elsewhere] = [back.filter((picture) => picture.state === state()), back.filter((picture) => picture.state !== state())];
      grid.remove(back.map(({ id }) => id));
      grid.restore(here);
      showEnds();
      if (single.isOpen && here.length > 0) single.show(grid.picture);
      tell(t("{count} undone", { count: count(here.length + elsewhere.length) }) + conflicts(receipt));
    } catch (error) {
      done.push(batch);
      fail(error);
    }
  });
}

function inTurn(change) {
  openChanges++;
  document.body.dataset.open = openChanges;
  chain = chain.then(change).finally(() => {
    openChanges--;
    document.body.dataset.open = openChanges;
    if (openChanges === 0) look().catch(() => { /* the next look shows it */ });
    if (grid.pictures.length < PAGE / 2) loadMore();
  });
  return chain;
}

const accept = () => act("accept", chosen());
const reject = () => act("reject", chosen());
const move = (name) => act("move", chosen(), { class: name });
const chosen = () => (single.isOpen ? [single.picture] : grid.chosen());

function saveBoxes() {
  if ($("box-save").disabled) return;
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

/// The single view goes on with what is current now.
function follow() {
  if (grid.picture) single.show(grid.picture);
  else single.close();
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
    if (event.key === "a" && !typing(event) && !single.isOpen) { event.preventDefault(); grid.markAll(); }
    return;
  }
  if ($("ask").open || (typing(event) && event.key !== "Escape")) return;
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
  $("single").addEventListener("close", () => grid.focus());
  for (const id of ["class", "flag", "order", "min", "max", "from", "to"]) $(id).addEventListener("change", load);
  $("states").addEventListener("change", () => { $("class").value = ""; $("flag").value = ""; load(); });
  $("export").addEventListener("change", download);
  new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) loadMore(); }, { rootMargin: `${AHEAD}px` }).observe($("more"));
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
