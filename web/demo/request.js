// One detection: an input of one of the five types becomes a request, and the answer comes back with the time it took on the way.
//
// An input is `{type, blob, name}` for bytes, file and base64, or `{type, text}` for url, path and a base64 that was typed.

import { ask } from "../js/problem.js";

/// Sends the input with these options in the query. Gives `{answer, text, took}`: parsed, as it came, and milliseconds.
export async function detect(input, options, signal) {
  const { body, headers } = await payload(input);
  const began = performance.now();
  const response = await ask(`/detect?${new URLSearchParams(options)}`, { method: "POST", body, headers, signal });
  const text = await response.text();
  return { answer: JSON.parse(text), text: text.trimEnd(), took: performance.now() - began };
}

/// The picture as the service sees it, for what a browser does not have or cannot read: a drawn answer without a box.
export async function fetchPicture(input, signal) {
  const { body, headers } = await payload(input);
  const response = await ask("/detect?format=image&score=1&top_k=1", { method: "POST", body, headers, signal });
  return response.blob();
}

async function payload({ type, blob, name, text }) {
  if (type === "bytes") {
    return { body: blob, headers: { "Content-Type": blob.type.startsWith("image/") ? blob.type : "application/octet-stream" } };
  }
  if (type === "file") {
    const form = new FormData();
    form.append("type", "file");
    form.append("img", blob, name);
    return { body: form, headers: {} };
  }
  const img = blob ? await dataUri(blob) : text;
  return { body: JSON.stringify({ type, img }), headers: { "Content-Type": "application/json" } };
}

function dataUri(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
