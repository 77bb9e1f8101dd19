// Where pictures come from besides the forms: dropped, pasted, chosen, or one of the model's own samples.

import { $, h } from "../js/dom.js";
import { t } from "../js/i18n.js";

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

/// Shows the samples that the service has for its model; none is no mistake.
export async function loadSamples() {
  let samples = [];
  try {
    const response = await fetch("/samples");
    if (response.ok) samples = (await response.json()).samples;
  } catch { /* the shell says that nobody answers */ }
  $("samples").hidden = samples.length === 0;
  $("strip").replaceChildren(...samples.map(({ name, address, small }) => h("button", {
    type: "button", className: "sample", "aria-label": t("Sample {name}", { name }), title: name,
    onclick: async () => {
      const response = await fetch(address);
      if (!response.ok) return;
      const blob = await response.blob();
      give.picture(blob, `${name}.${blob.type === "image/jpeg" ? "jpg" : blob.type.split("/")[1]}`);
    },
  }, h("img", { src: small, alt: "", loading: "lazy", decoding: "async" }))));
}
