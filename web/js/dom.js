// Elements in one line each. Texts only ever become text nodes, so nothing that comes from outside is read as HTML.

/// The element with this id.
export const $ = (id) => document.getElementById(id);

/// An element of this tag. Of `props`, functions named on… become listeners, known properties are set, the rest are attributes.
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/// The same for SVG, where everything is an attribute.
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name in element && !(element instanceof SVGElement) && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/// Reads and keeps a choice of the person; a browser that keeps nothing forgets it.
export const kept = {
  get(name, otherwise) {
    try { return localStorage.getItem(name) ?? otherwise; } catch { return otherwise; }
  },
  set(name, value) {
    try { localStorage.setItem(name, value); } catch { /* private mode: it holds for this page */ }
  },
};
