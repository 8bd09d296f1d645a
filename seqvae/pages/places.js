/*
 * The map and the square between four corners. Needs pad.js, stage.js and corners.js, or those of
 * text.
 *
 * A corner has a `context` beside its code and its clip: what of a state belongs to the clip alone,
 * such as its chords. A blend has that of the corner with the largest share.
 */
"use strict";

const CORNERS = ["A", "B", "C", "D"];
const FIRST_POINT = 0; // of the map, where the page begins

const ABOUT_POINTS = "Each point is an idea, and its neighbours are like it.";
const ABOUT_SQUARE = "Each corner is an idea, or one of yours; in between they blend.";

const mapPad = new MapPad({ points: data.map.points, onMove: (isLast) => moveOnMap(isLast),
  describe: (number) => describePoint(number) });
const squarePad = new SquarePad({ names: CORNERS, onMove: (isLast) => moveInSquare(isLast) });
mapPad.hint.textContent = ABOUT_POINTS;
squarePad.hint.textContent = ABOUT_SQUARE;
const pads = { map: mapPad, square: squarePad };
const views = { map: html("div", { role: "tabpanel" }), square: html("div", { role: "tabpanel" }) };
const tabs = Object.fromEntries([["map", "Map"], ["square", "Four corners"]].map(([view, name]) =>
  [view, html("button", { role: "tab", type: "button", onclick: () => showView(view) }, name)]));

function describePoint(number) {
  const name = data.map.names[number];
  return name ? `near ${formatName(name)}` : ABOUT_POINTS;
}

/** Of several moves in flight only the last matters. */
let moves = 0;

async function moveOnMap(isLast) {
  const move = ++moves;
  const { z } = await engine.ask("blendPoints", mapPad.mixture());
  if (move !== moves) return;
  instrument.set({ z, ...AFRESH, view: "map", map: mapPad.place }, { isFinal: isLast });
}

async function moveInSquare(isLast) {
  const move = ++moves;
  const { corners } = instrument.state;
  const weights = squarePad.mixture();
  const only = weights.indexOf(1);
  const heaviest = corners[weights.indexOf(Math.max(...weights))];
  const { z } = only >= 0 ? corners[only]
    : await engine.ask("blend", { codes: corners.map((corner) => corner.z), weights });
  if (move !== moves) return;
  instrument.set({ z, ...heaviest.context, clip: only >= 0 ? corners[only].clip : null,
    view: "square", square: squarePad.place }, { isFinal: isLast });
}

function showView(view) {
  for (const [name, tab] of Object.entries(tabs)) {
    tab.setAttribute("aria-selected", name === view);
    views[name].hidden = name !== view;
  }
  pads[view].draw();
}

function padsSection(...underMap) {
  const { attributes } = data.map;
  const legend = html("span", { class: "legend" });
  const select = html("select", { onchange: () => colour() },
    attributes.map(({ name }) => html("option", {}, formatName(name))));
  const colour = () => {
    const { name, values } = attributes[select.selectedIndex];
    const [less, more] = wordsFor(name);
    mapPad.colourBy(values);
    legend.replaceChildren(less, html("i"), more);
  };
  if (attributes.length) colour();
  views.map.append(mapPad.element, html("div", { class: "under" },
    attributes.length ? html("label", {}, "Colours: ", select) : null, legend, ...underMap));
  views.square.append(squarePad.element, cornerList);
  showView("map");
  return html("section", { class: "pads", "aria-label": "Map and corners" },
    html("div", { class: "tabs", role: "tablist" }, Object.values(tabs)),
    views.map, views.square);
}

/** Where the page begins: at a point of the map, with others in the corners. */
async function firstPlaces() {
  const point = async (number) => (await engine.ask("blendPoints",
    { numbers: [number % data.map.points.length], weights: [1] })).z;
  const corners = [];
  for (let i = 1; i <= 4; i++) {
    corners.push({ name: "", z: await point(i), clip: null, context: AFRESH });
  }
  return { z: await point(FIRST_POINT), ...AFRESH, corners, view: "map",
    map: mapPad.points[FIRST_POINT], square: [0.5, 0.5] };
}

/** Begins with the state of the link that opened the page, or afresh; `first` is of the page. */
async function begin(first = {}, showLinked = () => {}) {
  await engine.ask("start", { model: data.model });
  const linked = linkedState();
  if (linked) {
    showLinked(linked);
    showView(linked.view);
    instrument.set(linked);
    return;
  }
  instrument.set({ ...await firstPlaces(), amounts: {}, temperature: 0, seed: 0, ...first });
}

let shown = null; // the corners on the page

function showPlaces(state) {
  if (!mapPad.isDragged) mapPad.moveTo(state.map);
  if (!squarePad.isDragged) squarePad.moveTo(state.square);
  if (state.corners !== shown) showCorners(state.corners);
  shown = state.corners;
}

function setCorner(i, corner) {
  return instrument.state.corners.map((other, number) => (number === i ? corner : other));
}

async function hearCorner(i) {
  squarePad.moveTo([i % 2, Math.floor(i / 2)]);
  await moveInSquare(true);
  sound();
}

/** The first corner that still holds an idea of the model. */
const freeCorner = () => Math.max(instrument.state.corners.findIndex(({ clip }) => !clip), 0);
