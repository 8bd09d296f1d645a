/*
 * Pads with a puck to drag: a map of many points, and a square between four corners. Needs
 * elements.js and map.js.
 *
 *   new MapPad({ points, onMove, describe })
 *     .colourBy(values)
 *     .mixture()           { numbers, weights } of the points around the puck
 *   new SquarePad({ names, onMove })
 *     .mixture()           the weights of the four corners; a corner alone has all
 *     .setNames(names)
 *   of both: .element, .place, .moveTo([x, y])
 *
 * Places go from [0, 0], top left, to [1, 1]. onMove(isLast) is called while the puck is dragged,
 * and at the end; the arrow keys move it, too. The page's CSS defines the classes pad and hint.
 */
"use strict";

const NUM_NEAREST = 4; // points that the puck hears
const PUCK_RADIUS = 15; // pixels
const KEY_STEP = 0.02; // of the side; five times as much with Shift
const SNAP = 0.06; // how near the puck must come to a corner to be in it
const PAD_MARGIN = 0.06; // of the side, around the points of a map

class Pad {
  constructor({ label, onMove }) {
    this.onMove = onMove;
    this.place = [0.5, 0.5];
    this.canvas = html("canvas", { tabindex: 0, role: "application", "aria-label": label });
    this.hint = html("p", { class: "hint", "aria-live": "polite" });
    this.element = html("div", { class: "pad" }, this.canvas, this.hint);
    this.listen();
  }

  listen() {
    const { canvas } = this;
    const follow = (event, isLast) => {
      const box = canvas.getBoundingClientRect();
      this.drag([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height],
        isLast);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.isDragged = true;
      follow(event, false);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.isDragged) follow(event, false);
      else this.point(event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        if (this.isDragged) follow(event, true);
        this.isDragged = false;
      });
    }
    canvas.addEventListener("keydown", (event) => {
      const direction = ARROWS[event.key];
      if (!direction) return;
      event.preventDefault();
      const size = KEY_STEP * (event.shiftKey ? 5 : 1);
      this.drag(this.place.map((value, axis) => value + size * direction[axis]), true);
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
    darkScheme.addEventListener("change", () => this.draw());
  }

  /** Shows what is under the pointer. */
  point() {}

  drag(place, isLast) {
    this.moveTo(place);
    this.onMove(isLast);
  }

  moveTo(place) {
    this.place = place.map((value) => Math.min(Math.max(value, 0), 1));
    this.draw();
  }

  draw() {
    const size = this.canvas.clientWidth;
    if (!size) return;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(size * ratio)) {
      this.canvas.width = this.canvas.height = Math.round(size * ratio);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size, size);
    this.drawGround(pen, size);
    const puck = this.place.map((value) => value * size);
    pen.shadowColor = "rgba(0, 0, 0, 0.35)";
    pen.shadowBlur = 10;
    fillCircle(pen, puck, PUCK_RADIUS, themeColour("card"));
    pen.shadowBlur = 0;
    fillCircle(pen, puck, PUCK_RADIUS - 4, themeColour("second"));
  }
}

class MapPad extends Pad {
  constructor({ points, onMove, describe }) {
    super({ onMove, label: "Map of the codes. The arrow keys move the puck." });
    this.describe = describe;
    const range = (axis) => points.reduce(([low, high], point) =>
      [Math.min(low, point[axis]), Math.max(high, point[axis])], [Infinity, -Infinity]);
    const [[left, right], [bottom, top]] = [range(0), range(1)];
    const within = (value, low, high) =>
      PAD_MARGIN + (1 - 2 * PAD_MARGIN) * (value - low) / (high - low || 1);
    this.points = points.map(([x, y]) => [within(x, left, right), 1 - within(y, bottom, top)]);
    this.values = null;
  }

  colourBy(values) {
    this.values = values;
    this.draw();
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const under = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    this.hint.textContent = this.describe(this.nearest(under)[0].number);
  }

  nearest([x, y]) {
    return this.points.map(([px, py], number) => ({ number, far: Math.hypot(px - x, py - y) }))
      .sort((a, b) => a.far - b.far).slice(0, NUM_NEAREST + 1);
  }

  /** Weights that fall to 0 where a point is no longer among the nearest: no place jumps. */
  mixture() {
    const found = this.nearest(this.place);
    const reach = found[found.length - 1].far || 1;
    const near = found.slice(0, -1);
    const raw = near.map(({ far }) => Math.max(1 / Math.max(far, 1e-4) - 1 / reach, 1e-9) ** 2);
    const total = raw.reduce((a, b) => a + b);
    this.hint.textContent = this.describe(near[0].number);
    return { numbers: near.map(({ number }) => number), weights: raw.map((w) => w / total) };
  }

  drawGround(pen, size) {
    const colours = this.values ? pointColours(this.values) : null;
    pen.globalAlpha = 0.85;
    this.points.forEach((point, i) => fillCircle(pen, point.map((value) => value * size), 3.6,
      colours ? colours[i] : themeColour("accent")));
    pen.globalAlpha = 1;
  }
}

function pointColours(values) {
  const { low, high } = colourRange(values);
  const colours = gradientColours(["low", "middle", "high"].map(themeColour));
  return values.map((value) => {
    const fraction = Math.min(Math.max((value - low) / (high - low), 0), 1);
    return colours[Math.round((NUM_COLOURS - 1) * fraction)];
  });
}

class SquarePad extends Pad {
  constructor({ names, onMove }) {
    super({ onMove, label: "Square between four clips. The arrow keys move the puck." });
    this.names = names;
  }

  setNames(names) {
    this.names = names;
    this.draw();
  }

  drag(place, isLast) {
    super.drag(place.map((value) => (value < SNAP ? 0 : value > 1 - SNAP ? 1 : value)), isLast);
  }

  mixture() {
    const [x, y] = this.place;
    return [(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x];
  }

  drawGround(pen, size) {
    pen.strokeStyle = themeColour("line");
    pen.lineWidth = 1;
    for (let i = 1; i < 8; i++) {
      pen.beginPath();
      pen.moveTo(i * size / 8, 0);
      pen.lineTo(i * size / 8, size);
      pen.moveTo(0, i * size / 8);
      pen.lineTo(size, i * size / 8);
      pen.stroke();
    }
    pen.font = "600 15px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.names.forEach((name, i) => {
      const [right, low] = [i % 2, Math.floor(i / 2)];
      pen.fillStyle = themeColour(`voice-${i}`);
      pen.textAlign = right ? "right" : "left";
      pen.fillText(name, right ? size - 14 : 14, low ? size - 20 : 20);
    });
  }
}
