"use strict";

// The map

const REACH = { mouse: 14, touch: 28 }; // pixels within which a point is met
const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What the colours span, and its two labels. Few points far out would take all the colours. */
function rangeOf(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const [low, high] = at(0.02) < at(0.98) ? [at(0.02), at(0.98)] : [at(0), at(1)];
  return { low, high, labels: [brief(low) + (at(0) < low ? " or less" : ""),
    brief(high) + (at(1) > high ? " or more" : "")] };
}

class LatentMap {
  constructor() {
    this.points = data.map.points;
    this.attribute = data.map.attributes[0] ?? null;
    this.current = this.chosen = null;
    this.canvas = html("canvas", { tabindex: 0, role: "application", "aria-label":
      "Map of the latent space. Arrow keys go from point to point, Enter opens one.",
      "aria-describedby": "map-value" });
    this.tip = html("div", { class: "tip", id: "map-value", "aria-live": "polite" });
    this.panel = html("div", { class: "panel", "aria-live": "polite" }, html("p",
      { class: "muted", style: "margin:0" }, "Choose a point to see what it stands for: click " +
        "it, or go to it with the arrow keys and press Enter."));
    this.legend = html("div", { class: "legend" });
    this.still = document.createElement("canvas"); // the points, drawn once
    this.node = this.build();
    this.listen();
    this.colourPoints();
  }

  build() {
    const attributes = data.map.attributes.map((attribute) =>
      html("option", { value: attribute.name }, spaced(attribute.name)));
    this.about = html("p", { class: "muted", style: "margin:0.5rem 0 0" });
    const select = html("select", { onchange: (event) => {
      this.attribute = data.map.attributes[event.target.selectedIndex];
      this.colourPoints();
      this.draw();
    } }, attributes);
    const controls = html("div", { class: "controls" },
      html("label", {}, "Colour by ", select), this.legend);
    return html("div", { class: "map" },
      html("div", {}, attributes.length ? controls : null, this.about,
        html("div", { class: "plane" }, this.canvas, this.tip)),
      this.panel);
  }

  listen() {
    const { canvas } = this;
    const reach = (event) => REACH[event.pointerType] ?? REACH.mouse;
    canvas.addEventListener("pointermove", (event) => this.meet(this.under(event, reach(event))));
    canvas.addEventListener("pointerleave", () => this.meet(null));
    canvas.addEventListener("click", (event) => {
      const point = this.under(event, reach(event));
      if (point !== null) this.choose(point);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.meet(null));
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    dark.addEventListener("change", () => { this.colourPoints(); this.resize(); });
  }

  /** Colours of the points, from 256 of the legend's. */
  colourPoints() {
    if (!this.attribute) { this.colours = this.points.map(() => colour("accent")); return; }
    const { low, high, labels } = rangeOf(this.attribute.values);
    const ramp = rampOf(["low", "middle", "high"].map(colour));
    this.colours = this.attribute.values.map((value) =>
      ramp[Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))))]);
    this.legend.replaceChildren(labels[0], html("i"), labels[1]);
    this.about.textContent = this.attribute.definition;
  }

  resize() {
    const width = this.canvas.parentElement.clientWidth;
    const height = Math.round(Math.min(Math.max(width * 0.8, 300), 600));
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.still]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.canvas.style.height = `${height}px`;
    Object.assign(this, { width, height, ratio });
    this.place();
    this.draw();
  }

  /** Where points lie, in CSS pixels: both axes have one scale. */
  place() {
    const all = [...this.points, ...data.interpolation.points];
    const range = (axis) => all.reduce(([low, high], point) =>
      [Math.min(low, point[axis]), Math.max(high, point[axis])], [Infinity, -Infinity]);
    const [x, y] = [range(0), range(1)];
    const margin = 22;
    const scale = Math.min((this.width - 2 * margin) / (x[1] - x[0] || 1),
      (this.height - 2 * margin) / (y[1] - y[0] || 1));
    const toPlane = ([a, b]) => [this.width / 2 + scale * (a - (x[0] + x[1]) / 2),
      this.height / 2 - scale * (b - (y[0] + y[1]) / 2)];
    this.places = this.points.map(toPlane);
    this.way = data.interpolation.points.map(toPlane);
  }

  draw() {
    if (!this.places) return;
    const pen = this.still.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const size = this.points.length > 4000 ? 1.8 : this.points.length > 800 ? 2.6 : 3.6;
    pen.globalAlpha = this.points.length > 800 ? 0.75 : 0.9;
    this.places.forEach(([x, y], i) => dot(pen, x, y, size, this.colours[i]));
    this.drawOver();
  }

  /** The points, and over them the interpolation and what is met or chosen. */
  drawOver() {
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.still, 0, 0);
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.drawWay(pen);
    for (const [point, width] of [[this.chosen, 3], [this.current, 2]]) {
      if (point === null) continue;
      const [x, y] = this.places[point];
      dot(pen, x, y, 4.5, this.colours[point]);
      pen.strokeStyle = colour("ink");
      pen.lineWidth = width;
      pen.beginPath();
      pen.arc(x, y, 7, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  drawWay(pen) {
    for (const [name, width] of [["card", 5], ["ink", 2]]) {
      pen.strokeStyle = colour(name);
      pen.lineWidth = width;
      pen.lineJoin = "round";
      pen.beginPath();
      this.way.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.stroke();
    }
    pen.font = "600 10px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.way.forEach(([x, y], i) => {
      dot(pen, x, y, 8, colour("ink"));
      pen.fillStyle = colour("card");
      pen.fillText(String(i + 1), x, y + 0.5);
    });
  }

  under(event, reach) {
    const box = this.canvas.getBoundingClientRect();
    return this.nearest(event.clientX - box.left, event.clientY - box.top, reach);
  }

  nearest(x, y, reach) {
    let [best, found] = [reach * reach, null];
    this.places.forEach(([a, b], i) => {
      const distance = (a - x) ** 2 + (b - y) ** 2;
      if (distance < best) [best, found] = [distance, i];
    });
    return found;
  }

  key(event) {
    const direction = DIRECTIONS[event.key];
    if (direction) {
      event.preventDefault();
      this.meet(this.neighbour(direction) ?? this.current);
    } else if (event.key === "Enter" && this.current !== null) {
      this.choose(this.current);
    } else if (event.key === "Escape") {
      this.meet(null);
    }
  }

  /** The nearest point that lies in a direction, to 45 degrees on either side. */
  neighbour([dx, dy]) {
    const from = this.current ?? this.chosen;
    if (from === null) return this.nearest(this.width / 2, this.height / 2, Infinity);
    const [x, y] = this.places[from];
    let [best, found] = [Infinity, null];
    this.places.forEach(([a, b], i) => {
      const along = (a - x) * dx + (b - y) * dy;
      const across = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
      const distance = along + 2 * across;
      if (along > 0 && across <= along && distance < best) [best, found] = [distance, i];
    });
    return found;
  }

  meet(point) {
    if (point === this.current) return;
    this.current = point;
    this.tip.textContent = point === null ? "" : this.label(point);
    if (point !== null) {
      const [x, y] = this.places[point];
      const left = Math.min(Math.max(x + 12, 4), this.width - this.tip.offsetWidth - 4);
      const below = y + 14 + this.tip.offsetHeight < this.height;
      this.tip.style.left = `${left}px`;
      this.tip.style.top = `${below ? y + 14 : y - 14 - this.tip.offsetHeight}px`;
    }
    this.drawOver();
  }

  label(point) {
    const value = this.attribute
      ? `${spaced(this.attribute.name)} ${brief(this.attribute.values[point])}` : "";
    const content = data.map.contents[point];
    return isMusic ? value || `point ${point + 1}` : [value, content].filter(Boolean).join(": ");
  }

  choose(point) {
    this.chosen = point;
    player.stop();
    const content = data.map.contents[point];
    this.panel.replaceChildren(
      isMusic ? clipView(content, `point ${point + 1}`, rowsOf([content])).node
        : html("p", { class: "sentence" }, content),
      html("dl", {}, data.map.attributes.flatMap((attribute) => [
        html("dt", {}, spaced(attribute.name)),
        html("dd", {}, brief(attribute.values[point])),
      ])));
    this.drawOver();
  }
}

function dot(pen, x, y, radius, fillStyle) {
  pen.fillStyle = fillStyle;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

/** 256 colours along a gradient, as the legend shows it. */
function rampOf(stops) {
  const canvas = html("canvas", { width: 256, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const gradient = pen.createLinearGradient(0, 0, 256, 0);
  stops.forEach((stop, i) => gradient.addColorStop(i / (stops.length - 1), stop));
  pen.fillStyle = gradient;
  pen.fillRect(0, 0, 256, 1);
  const { data: bytes } = pen.getImageData(0, 0, 256, 1);
  return Array.from({ length: 256 }, (_, i) => `rgb(${bytes.slice(4 * i, 4 * i + 3).join()})`);
}
