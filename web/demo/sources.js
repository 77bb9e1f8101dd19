// Where pictures come from besides the forms: dropped, pasted, chosen, or one of the model's own samples.

import { $, h } from "../js/dom.js";
import { t } from "../js/i18n.js";
import { ask } from "../js/problem.js";

let give = null;

/// Calls `picture(blob, name)` for a picture and `address(text)` for the address of one.
export function listenForPictures(listeners) {
  give = listeners;
  const stage = $("stage");
  $("choose").addEventListener("click", () => $("file").click());
  $("invite").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", (event) => {
    file(event.target.files[0]);
    event.target.value = ""; // the same file may be chosen again
  });
  // The whole page takes drops, or one beside the stage would leave the page.
  let depth = 0;
  addEventListener("dragenter", () => { depth++; stage.classList.add("over"); });
  addEventListener("dragleave", () => { if (--depth <= 0) { depth = 0; stage.classList.remove("over"); } });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    stage.classList.remove("over");
    take(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (!event.target.closest?.("input, textarea")) take(event.clipboardData);
  });
}

function take(data) {
  if (data.files.length > 0) return file(data.files[0]);
  const text = (data.getData("text/uri-list") || data.getData("text/plain")).trim().split("\n")[0];
  if (/^(https?:\/\/|data:image\/)/.test(text)) give.address(text);
}

function file(chosen) {
  if (chosen) give.picture(chosen, chosen.name || "picture.png");
}

/// Shows the samples that the service has for its model. They are asked for as everything is, with a key where one is needed.
export function drawSamples(samples) {
  $("samples").hidden = samples.length === 0;
  $("strip").replaceChildren(...samples.map(({ name, address, small }) => {
    const image = h("img", { alt: "" });
    picture(small).then((blob) => { image.src = URL.createObjectURL(blob); }, () => {});
    const take = () => picture(address).then((blob) => give.picture(blob, fileName(name, blob)), () => {});
    return h("button", { type: "button", className: "sample", "aria-label": t("Sample {name}", { name }), title: name, onclick: take }, image);
  }));
}

const picture = async (address) => (await ask(address)).blob();

const fileName = (name, { type }) => `${name}.${type === "image/jpeg" ? "jpg" : type.split("/")[1]}`;
