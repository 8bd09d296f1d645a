"use strict";

// Elements. Whatever is a string becomes a text node: no text of a corpus is ever read as HTML.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function section(title, about, ...children) {
  const id = title.toLowerCase().replace(/\W+/g, "-");
  return html("section", { "aria-labelledby": id },
    html("h2", { id }, title), html("p", { class: "muted" }, about), ...children);
}

const spaced = (name) => name.replaceAll("_", " ");

function shown(value) {
  if (value === null) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3).replace("-", "−");
}

/** To three digits. */
const brief = (value) => (+value.toPrecision(3)).toLocaleString("en").replace("-", "−");

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
