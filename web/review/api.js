// What the review asks of the service. Every change names the revision that was seen, so that nobody's work is overwritten unseen.

import { ask } from "../js/problem.js";

const BASE = "/review/api/";

/// How many pictures there are of each kind.
export const summary = (state) => ask(`${BASE}summary?${new URLSearchParams({ state })}`).then((reply) => reply.json());

/// A page of pictures.
export function page(fields, signal) {
  const given = Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return ask(`${BASE}pictures?${new URLSearchParams(given)}`, { signal }).then((reply) => reply.json());
}

/// Does something with pictures.
export const act = (action, pictures, more = {}) =>
  post("actions", { action, pictures: pictures.map(({ id, revision }) => ({ id, revision })), ...more });

/// Undoes what was done.
export const undo = (batch) => post("undo", { batch });

const post = (path, body) =>
  ask(BASE + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then((reply) => reply.json());

export const image = (id) => `${BASE}pictures/${encodeURIComponent(id)}/image`;
export const thumb = (id) => `${BASE}pictures/${encodeURIComponent(id)}/thumb`;

/// Shows a picture of the service in an `img`, asked for with a key where one is needed, as everything is. Returns what ends that.
export function showPicture(img, address) {
  const asking = new AbortController();
  let shown = "";
  ask(address, { signal: asking.signal }).then((reply) => reply.blob()).then((blob) => {
    if (!asking.signal.aborted) img.src = shown = URL.createObjectURL(blob);
  }).catch(() => { /* the place stays empty */ });
  return () => {
    asking.abort();
    URL.revokeObjectURL(shown);
  };
}

/// An export as a file.
export const exported = (format) => ask(`${BASE}export?${new URLSearchParams({ format })}`).then((reply) => reply.blob());
