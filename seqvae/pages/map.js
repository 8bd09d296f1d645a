/*
 * A map of latent codes: points that can be coloured, pointed at and opened. Needs elements.js.
 *
 *   new LatentMap({ points, path, attributes, describe, open })
 *     .element                        to be put on a page
 *
 *   points        [x, y] of each code, in any unit
 *   path          [x, y] of codes that are drawn as a line of numbered stations
 *   attributes    { name, definition, values }: what the points can be coloured by
 *   describe(i)   a text about a point, shown at the point with its value of the attribute
 *   open(i)       an element that shows a point, put in the panel
 *
 * The mouse, a finger or the arrow keys point at a point; a click, a tap or Enter opens it. The
 * page's CSS defines the classes map, controls, legend, plane, tip and panel, and the colours
 * --low, --middle, --high, --accent, --card and --ink.
 */
"use strict";

const REACH = { mouse: 14, touch: 28 }; // pixels from the pointer to a point
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const MAP_MARGIN = 22; // pixels
const STATION_RADIUS = 8; // pixels
const NUM_COLOURS = 256;

const darkScheme = matchMedia("(prefers-color-scheme: dark)");

class LatentMap {
  constructor({ points, path, attributes, describe, open }) {
    Object.assign(this, { points, path, attributes, describe, open });
    this.attribute = attributes[0] ?? null;
    this.pointed = null; // indices of points
    this.opened = null;
    this.element = this.build();
    this.background = document.createElement("canvas"); // all points, drawn once
    this.listen();
    this.colourPoints();
  }

  build() {
    this.canvas = html("canvas", {
      tabindex: 0, role: "application", "aria-describedby": "map-tip", "aria-label":
        "Map of the latent space. The arrow keys move from point to point, Enter opens one.",
    });
    this.tip = html("div", { class: "tip", id: "map-tip", "aria-live": "polite" });
    this.legend = html("div", { class: "legend" });
    this.definition = html("p", { class: "muted" });
    this.panel = html("div", { class: "panel", "aria-live": "polite" }, html("p",
      { class: "muted" }, "Select a point to see its sequence: click it, or move to it with the " +
        "arrow keys and press Enter."));
    const options = this.attributes.map(({ name }) =>
      html("option", { value: name }, formatName(name)));
    const select = html("select", { onchange: () => this.colourBy(select.selectedIndex) }, options);
    const controls = html("div", { class: "controls" },
      html("label", {}, "Colour by ", select), this.legend);
    return html("div", { class: "map" },
      html("div", {}, options.length ? controls : null, this.definition,
        html("div", { class: "plane" }, this.canvas, this.tip)),
      this.panel);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => this.pointAt(this.under(event)));
    canvas.addEventListener("pointerleave", () => this.pointAt(null));
    canvas.addEventListener("blur", () => this.pointAt(null));
    canvas.addEventListener("click", (event) => this.select(this.under(event)));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    darkScheme.addEventListener("change", () => { this.colourPoints(); this.draw(); });
  }

  // Colours

  colourBy(index) {
    this.attribute = this.attributes[index];
    this.colourPoints();
    this.draw();
  }

  colourPoints() {
    if (!this.attribute) {
      this.colours = this.points.map(() => themeColour("accent"));
      return;
    }
    const { low, high, labels } = colourRange(this.attribute.values);
    const colours = gradientColours(["low", "middle", "high"].map(themeColour));
    this.colours = this.attribute.values.map((value) => {
      const fraction = Math.min(Math.max((value - low) / (high - low), 0), 1);
      return colours[Math.round((NUM_COLOURS - 1) * fraction)];
    });
    this.legend.replaceChildren(labels[0], html("i"), labels[1]);
    this.definition.textContent = this.attribute.definition;
  }

  // Drawing

  resize() {
    this.width = this.canvas.parentElement.clientWidth;
    this.height = Math.round(Math.min(Math.max(this.width * 0.8, 300), 600));
    this.pixelRatio = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.background]) {
      canvas.width = Math.round(this.width * this.pixelRatio);
      canvas.height = Math.round(this.height * this.pixelRatio);
    }
    this.canvas.style.height = `${this.height}px`;
    this.place();
    this.draw();
  }

  /** Fits points and path into the canvas, in CSS pixels; both axes have the same scale. */
  place() {
    const all = [...this.points, ...this.path];
    const range = (axis) => all.reduce(([low, high], point) =>
      [Math.min(low, point[axis]), Math.max(high, point[axis])], [Infinity, -Infinity]);
    const [[left, right], [bottom, top]] = [range(0), range(1)];
    const scale = Math.min((this.width - 2 * MAP_MARGIN) / (right - left || 1),
      (this.height - 2 * MAP_MARGIN) / (top - bottom || 1));
    const toCanvas = ([x, y]) => [this.width / 2 + scale * (x - (left + right) / 2),
      this.height / 2 - scale * (y - (bottom + top) / 2)];
    this.places = this.points.map(toCanvas);
    this.stations = this.path.map(toCanvas);
  }

  draw() {
    if (!this.places) return; // before the first layout
    const pen = this.background.getContext("2d");
    pen.setTransform(this.pixelRatio, 0, 0, this.pixelRatio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const count = this.points.length;
    const radius = count > 4000 ? 1.8 : count > 800 ? 2.6 : 3.6;
    pen.globalAlpha = count > 800 ? 0.75 : 0.9;
    this.places.forEach((place, i) => fillCircle(pen, place, radius, this.colours[i]));
    this.drawForeground();
  }

  /** Over the points: the path, and rings around the point that is open or pointed at. */
  drawForeground() {
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.background, 0, 0);
    pen.setTransform(this.pixelRatio, 0, 0, this.pixelRatio, 0, 0);
    this.drawPath(pen);
    for (const [point, lineWidth] of [[this.opened, 3], [this.pointed, 2]]) {
      if (point === null) continue;
      fillCircle(pen, this.places[point], 4.5, this.colours[point]);
      pen.strokeStyle = themeColour("ink");
      pen.lineWidth = lineWidth;
      pen.beginPath();
      pen.arc(...this.places[point], 7, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  drawPath(pen) {
    pen.lineJoin = "round";
    for (const [name, lineWidth] of [["card", 5], ["ink", 2]]) {
      pen.strokeStyle = themeColour(name);
      pen.lineWidth = lineWidth;
      pen.beginPath();
      this.stations.forEach((place) => pen.lineTo(...place));
      pen.stroke();
    }
    pen.font = "600 10px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.stations.forEach(([x, y], i) => {
      fillCircle(pen, [x, y], STATION_RADIUS, themeColour("ink"));
      pen.fillStyle = themeColour("card");
      pen.fillText(String(i + 1), x, y + 0.5);
    });
  }

  // Pointing and opening

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const reach = REACH[event.pointerType] ?? REACH.mouse;
    return this.nearest([event.clientX - box.left, event.clientY - box.top], reach);
  }

  nearest([x, y], reach) {
    return indexOfLeast(this.places, ([px, py]) => {
      const distance = Math.hypot(px - x, py - y);
      return distance < reach ? distance : null;
    });
  }

  /** The nearest point in a direction, up to 45 degrees to either side of it. */
  neighbour([dx, dy]) {
    const from = this.pointed ?? this.opened;
    if (from === null) return this.nearest([this.width / 2, this.height / 2], Infinity);
    const [x, y] = this.places[from];
    return indexOfLeast(this.places, ([px, py]) => {
      const along = (px - x) * dx + (py - y) * dy;
      const across = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      return along > 0 && across <= along ? along + 2 * across : null;
    });
  }

  onKey(event) {
    const direction = ARROWS[event.key];
    if (direction) {
      event.preventDefault();
      this.pointAt(this.neighbour(direction) ?? this.pointed);
    } else if (event.key === "Enter") {
      this.select(this.pointed);
    } else if (event.key === "Escape") {
      this.pointAt(null);
    }
  }

  pointAt(point) {
    if (point === this.pointed) return;
    this.pointed = point;
    this.tip.textContent = point === null ? "" : this.tipOf(point);
    if (point !== null) this.placeTip(this.places[point]);
    this.drawForeground();
  }

  tipOf(point) {
    const description = this.describe(point);
    if (!this.attribute) return description;
    const { name, values } = this.attribute;
    return `${description}\n${formatName(name)} ${formatShort(values[point])}`;
  }

  /** Below and to the right of a point, but within the canvas. */
  placeTip([x, y]) {
    const { offsetWidth, offsetHeight } = this.tip;
    const left = Math.min(Math.max(x + 12, 4), this.width - offsetWidth - 4);
    const fitsBelow = y + 14 + offsetHeight < this.height;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${fitsBelow ? y + 14 : y - 14 - offsetHeight}px`;
  }

  select(point) {
    if (point === null) return;
    this.opened = point;
    const values = this.attributes.flatMap((attribute) => [
      html("dt", {}, formatName(attribute.name)),
      html("dd", {}, formatShort(attribute.values[point])),
    ]);
    this.panel.replaceChildren(this.open(point), html("dl", {}, values));
    this.drawForeground();
  }
}

/** The index of the least cost, or null; an item whose cost is null cannot be chosen. */
function indexOfLeast(items, costOf) {
  let [least, index] = [Infinity, null];
  items.forEach((item, i) => {
    const cost = costOf(item);
    if (cost !== null && cost < least) [least, index] = [cost, i];
  });
  return index;
}

/** The values that the colours span, with labels. A few outliers would take all the colours. */
function colourRange(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const quantile = (fraction) => sorted[Math.round(fraction * (sorted.length - 1))];
  const [least, most] = [quantile(0), quantile(1)];
  let [low, high] = [quantile(0.02), quantile(0.98)];
  if (low === high) [low, high] = [least, most];
  return { low, high, labels: [
    formatShort(low) + (least < low ? " or less" : ""),
    formatShort(high) + (most > high ? " or more" : ""),
  ] };
}

/** Colours along a gradient, as CSS draws it in the legend. */
function gradientColours(stops) {
  const canvas = html("canvas", { width: NUM_COLOURS, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const gradient = pen.createLinearGradient(0, 0, NUM_COLOURS, 0);
  stops.forEach((stop, i) => gradient.addColorStop(i / (stops.length - 1), stop));
  pen.fillStyle = gradient;
  pen.fillRect(0, 0, NUM_COLOURS, 1);
  const { data: bytes } = pen.getImageData(0, 0, NUM_COLOURS, 1);
  return Array.from({ length: NUM_COLOURS }, (_, i) =>
    `rgb(${bytes.slice(4 * i, 4 * i + 3).join()})`);
}

function fillCircle(pen, [x, y], radius, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}
