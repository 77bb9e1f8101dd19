// The bar of a request's stages and its legend: how the time was spent.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { time } from "./format.js";

/// The stages in the order of time, as the service names them; `network` is what only the client sees.
export const STAGES = ["read", "wait", "decode", "preprocess", "queue", "infer", "postprocess", "network"];

/// Draws `{stage: milliseconds}` into `root`, whose elements are kept and only changed, so that the bar moves.
export function drawStages(root, times) {
  const shown = STAGES.filter((stage) => times[stage] !== undefined);
  if (root.dataset.shown !== shown.join()) {
    root.dataset.shown = shown.join();
    root.classList.add("stages");
    root.replaceChildren(
      h("div", { className: "track", role: "img" }, shown.map((stage) => h("i", { data: { stage } }))),
      h("ul", {}, shown.map((stage) => h("li", {}, h("i", { data: { stage } }), h("span"), h("b")))));
  }
  const [track, list] = root.children;
  track.setAttribute("aria-label", shown.map((stage) => `${t(stage)} ${time(times[stage])}`).join(", "));
  shown.forEach((stage, k) => {
    track.children[k].style.flexGrow = Math.max(times[stage], 0);
    track.children[k].title = `${t(stage)} ${time(times[stage])}`;
    list.children[k].children[1].textContent = t(stage);
    list.children[k].children[2].textContent = time(times[stage]);
  });
}
