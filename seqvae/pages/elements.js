/*
 * Building blocks of a page. Needs nothing else.
 *
 *   html(tag, attributes, ...children)    a new HTML element
 *   svg(tag, attributes, ...children)     a new SVG element
 *   themeColour(name)                     the colour of the custom property --name
 *   formatNumber(value)                   a number with a fixed number of decimals for its size
 *   formatShort(value)                    a number with three significant digits
 *   formatName(name)                      note_density -> note density
 *
 * A child that is a string becomes a text node, so text from a corpus is never parsed as HTML.
 */
"use strict";

/** Sets attributes and appends children. `onclick` and the like take functions; null is left out. */
function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

function html(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return furnish(element, attributes, children);
}

function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const withMinusSign = (text) => text.replace("-", "−");

function formatNumber(value) {
  if (value === null) return "–";
  if (Number.isInteger(value)) return withMinusSign(value.toLocaleString("en"));
  const size = Math.abs(value);
  return withMinusSign(value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3));
}

function formatShort(value) {
  return withMinusSign(Number(value.toPrecision(3)).toLocaleString("en"));
}

function formatName(name) {
  return name.replaceAll("_", " ");
}
