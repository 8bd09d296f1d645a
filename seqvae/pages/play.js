/*
 * The page of the instrument: its parts, and what each of them does to the music. Needs all scripts
 * before it.
 */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const { grid: settings } = data.model;
const stepsPerBar = settings.bar;
const grid = {
  numSteps: settings.num_bars * settings.bar, stepsPerQuarter: settings.steps_per_quarter,
  stepsPerBar,
};
const hasDrums = ["drums", "groove", "trio"].includes(data.kind);
const hasPitches = !["drums", "groove"].includes(data.kind);
const VOICES = { melody: ["melody"], trio: ["melody", "bass", "drums"], drums: ["drums"],
  groove: ["drums"] };

const KINDS = { melody: "melodies", drums: "drum beats", groove: "drum grooves, with their feel",
  trio: "melodies with bass and drums", voices: "music for several voices", polyphony: "piano music" };
/** Of each attribute, what less and more of it sound like. */
const WORDS = {
  note_density: ["fewer notes", "more notes"], average_pitch: ["lower", "higher"],
  pitch_range: ["narrower", "wider"], average_interval: ["smaller steps", "larger leaps"],
  average_duration: ["shorter notes", "longer notes"],
  scale_membership: ["out of the scale", "in the scale"], minorness: ["more major", "more minor"],
  register: ["lower register", "higher register"],
  eighth_syncopation: ["on the beat", "off the beat"],
  sixteenth_syncopation: ["straight", "syncopated"], repetition: ["ever new", "repeating"],
  mean_velocity: ["softer", "louder"], swing: ["straight", "swung"],
};
const MAX_AMOUNT = 2;
const CORNERS = ["A", "B", "C", "D"];
const FIRST_POINT = 0; // of the map, where the page begins

const engine = new Engine(document.getElementById("engine").textContent);
const looper = new Looper(grid, {
  onMove: (steps) => editor.movePlayhead(steps),
  onStop: () => showPlaying(false),
  onTurn: () => followPath(),
});
const editor = new RollEditor({
  ...grid,
  voices: VOICES[data.kind] ?? [], drums: hasDrums ? settings.classes : [],
  drumPitches: settings.written, hasPitches,
  programOf: (voice) => (data.kind === "trio" && voice === 1 ? 33 : 0),
}, { onEdit: (notes) => edit(notes) });
const instrument = new Instrument(engine, {
  stepsPerBar,
  onNotes: (notes) => {
    looper.setNotes(notes);
    editor.setNotes(notes);
  },
  onState: (state) => showState(state),
});

function currentClip() {
  return { ...grid, notes: instrument.notes, qpm: looper.qpm, metre: data.grid.metre,
    kit: data.grid.drums };
}

function say(text) { said.textContent = text; }

/** What fails is said in a line. */
async function trying(act) {
  try {
    say("");
    await act();
  } catch (error) {
    say(error.message);
  }
}

// Transport

const said = html("p", { class: "said", role: "status" });
const playButtonOf = html("button", { class: "main", type: "button", "aria-pressed": "false",
  onclick: () => toggle() },
svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
  svg("path", { class: "start", d: "M1 0L10 5L1 10Z" }),
  svg("path", { class: "stop", d: "M0.5 0.5H9.5V9.5H0.5Z" })), html("span", {}, "Play"));
const undoButton = html("button", { type: "button", onclick: () => instrument.undo() }, "Undo");
const tempo = html("input", { type: "number", min: 30, max: 300, value: 120,
  onchange: () => setTempo(Number(tempo.value)) });

function toggle() {
  if (looper.isPlaying) looper.stop();
  else {
    looper.start();
    showPlaying(true);
  }
}

function showPlaying(isPlaying) {
  playButtonOf.setAttribute("aria-pressed", isPlaying);
  playButtonOf.lastChild.textContent = isPlaying ? "Stop" : "Play";
  editor.showPlayhead(isPlaying);
}

function setTempo(qpm) {
  looper.qpm = Math.min(Math.max(qpm || 120, 30), 300);
  tempo.value = Math.round(looper.qpm);
}

function switchOf(name, isOn, act) {
  const button = html("button", { class: "toggle", type: "button", "aria-pressed": isOn,
    onclick: () => {
      const turned = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", turned);
      act(turned);
    } }, name);
  return button;
}

function transport() {
  const action = (name, act) => html("button", { type: "button", onclick: () => trying(act) }, name);
  return html("div", { class: "deck" },
    html("section", { class: "transport", "aria-label": "Playing" }, playButtonOf,
      html("button", { class: "idea", type: "button", onclick: () => trying(surprise) },
        "Surprise me")),
    html("section", { class: "settings", "aria-label": "Time" },
      html("label", { class: "field" }, "Tempo", tempo),
      switchOf("Loop", true, (isOn) => { looper.isLooping = isOn; }),
      switchOf("Metronome", false, (isOn) => { looper.hasMetronome = isOn; })),
    html("section", { class: "files", "aria-label": "Keeping" }, undoButton,
      action("Copy link", copyLink), action("Save MIDI", () => saveMidi()),
      action("Save WAV", saveWav)));
}

const fileName = (ending) => `${data.title.replace(/\W+/g, "_")}.${ending}`;

function saveMidi() { downloadMidi(currentClip(), fileName("mid")); }

async function saveWav() {
  const url = URL.createObjectURL(new Blob([await wavFile(currentClip())], { type: "audio/wav" }));
  html("a", { href: url, download: fileName("wav") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

async function copyLink() {
  location.hash = toFragment({ ...instrument.state, qpm: looper.qpm });
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied: it holds what you hear.");
  } catch {
    say("The link is in the address bar: it holds what you hear.");
  }
}

// Ideas

const newSeed = () => Math.floor(Math.random() * 2 ** 31);

async function surprise() {
  const { z } = await engine.ask("draw", { seed: newSeed() });
  instrument.set({ z, clip: null, moved: 0 });
  if (!looper.isPlaying) toggle();
}

async function vary(distance) {
  const { z } = await engine.ask("vary", { z: instrument.state.z, distance, seed: newSeed() });
  instrument.set({ z, clip: null });
}

async function edit(notes) {
  await trying(async () => {
    const heard = await engine.ask("encode", { notes });
    instrument.set({ z: heard.z, clip: heard.notes, moved: heard.moved, amounts: {},
      temperature: 0 });
  });
}

// The map and the square

const mapPad = new MapPad({ points: data.map.points, onMove: (isLast) => moveOnMap(isLast),
  describe: (number) => describePoint(number) });
const squarePad = new SquarePad({ names: CORNERS, onMove: (isLast) => moveInSquare(isLast) });
const pads = { map: mapPad, square: squarePad };
const views = { map: html("div", { role: "tabpanel" }), square: html("div", { role: "tabpanel" }) };
const tabs = Object.fromEntries([["map", "Map"], ["square", "Four corners"]].map(([view, name]) =>
  [view, html("button", { role: "tab", type: "button", onclick: () => showView(view) }, name)]));

function describePoint(number) {
  const name = data.map.names[number];
  return name ? `near ${formatName(name)}` : "";
}

/** Of several moves in flight only the last matters. */
let moves = 0;

async function moveOnMap(isLast) {
  const move = ++moves;
  const { z } = await engine.ask("blendPoints", mapPad.mixture());
  if (move !== moves) return;
  instrument.set({ z, clip: null, moved: 0, view: "map", map: mapPad.place },
    { isFinal: isLast });
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
  instrument.set({ z, clip: only >= 0 ? corners[only].clip : null, moved: heaviest.moved,
    view: "square", square: squarePad.place }, { isFinal: isLast });
}

function showView(view) {
  for (const [name, tab] of Object.entries(tabs)) {
    tab.setAttribute("aria-selected", name === view);
    views[name].hidden = name !== view;
  }
  pads[view].draw();
}

function padsSection() {
  const { attributes } = data.map;
  const select = html("select", { onchange: () =>
    mapPad.colourBy(attributes[select.selectedIndex].values) },
  attributes.map(({ name }) => html("option", {}, formatName(name))));
  if (attributes.length) mapPad.colourBy(attributes[0].values);
  const pathButton = switchOf("Draw a path", false, (isOn) => startPath(isOn));
  views.map.append(mapPad.element, html("div", { class: "under" },
    attributes.length ? html("label", {}, "Colours: ", select) : null, pathButton));
  views.square.append(squarePad.element, cornerList);
  showView("map");
  return html("section", { class: "pads", "aria-label": "Map and corners" },
    html("div", { class: "tabs", role: "tablist" }, Object.values(tabs)),
    views.map, views.square);
}

// A path: places that the puck goes through, one each time the loop turns

const NUM_STATIONS = 8;
let path = null;

function startPath(isOn) {
  path = isOn ? { places: [], station: 0 } : null;
  say(isOn ? "Draw on the map: each turn of the loop takes the next place of your line." : "");
}

mapPad.canvas.addEventListener("pointerdown", () => { if (path) path.places = []; });
mapPad.canvas.addEventListener("pointermove", () => {
  if (path && mapPad.isDragged) path.places.push(mapPad.place);
});

/** There and back again. */
function followPath() {
  if (!path || mapPad.isDragged || path.places.length < NUM_STATIONS) return;
  path.station = (path.station + 1) % (2 * NUM_STATIONS - 2);
  const number = path.station < NUM_STATIONS ? path.station : 2 * NUM_STATIONS - 2 - path.station;
  const last = path.places.length - 1;
  mapPad.moveTo(path.places[Math.round(number * last / (NUM_STATIONS - 1))]);
  moveOnMap(false);
}

// Corners and files

const cornerList = html("ul", { class: "corners" });
const chooser = html("input", { type: "file", accept: ".mid,.midi", multiple: "", hidden: "",
  onchange: () => {
    openFiles([...chooser.files], Number(chooser.dataset.corner));
    chooser.value = "";
  } });
const opened = []; // for each corner the windows of its file

function showCorners(corners) {
  squarePad.setNames(corners.map(({ name }, i) => `${CORNERS[i]}${name ? ` ${name}` : ""}`));
  cornerList.replaceChildren(...corners.map((corner, i) => cornerCard(corner, i)));
}

function cornerCard({ name }, i) {
  const action = (text, label, act) => html("button", { type: "button",
    "aria-label": `${label} in corner ${CORNERS[i]}`, onclick: () => trying(act) }, text);
  const file = opened[i];
  const bars = file && file.windows.length > 1 ? html("select", {
    "aria-label": `Bars of corner ${CORNERS[i]}`, onchange: () => trying(() =>
      takeWindow(i, bars.selectedIndex)),
  }, file.windows.map(({ bar }, w) => html("option", w === file.chosen ? { selected: "" } : {},
    `bars ${bar}–${bar + settings.num_bars - 1}`))) : null;
  return html("li", { class: "corner", style: `border-left-color:var(--voice-${i})` },
    html("b", {}, `${CORNERS[i]}: ${name || "an idea"}`),
    html("div", {},
      action("Hear", "Hear the clip", () => hearCorner(i)),
      action("Open…", "Open a MIDI file", () => {
        chooser.dataset.corner = i;
        chooser.click();
      }),
      action("Keep", "Keep what plays", () => keepIn(i)), bars));
}

function setCorner(i, corner) {
  return instrument.state.corners.map((other, number) => (number === i ? corner : other));
}

function hearCorner(i) {
  squarePad.moveTo([i % 2, Math.floor(i / 2)]);
  return moveInSquare(true);
}

async function keepIn(i) {
  opened[i] = null;
  const { z, moved } = await engine.ask("encode", { notes: instrument.notes });
  instrument.set({ corners: setCorner(i, { name: "yours", z, moved, clip: instrument.notes }) });
}

/** Each file becomes a corner, from this one on. */
async function openFiles(files, first) {
  await trying(async () => {
    for (const [number, file] of files.slice(0, 4).entries()) {
      const i = (first + number) % 4;
      try {
        const read = await engine.ask("read", { bytes: await file.arrayBuffer() });
        opened[i] = { ...read, name: file.name.replace(/\.midi?$/i, ""), chosen: 0 };
      } catch (error) {
        throw new Error(`${file.name}: ${error.message}`);
      }
      await takeWindow(i, 0);
    }
  });
}

async function takeWindow(i, number) {
  const file = opened[i];
  file.chosen = number;
  const { notes } = file.windows[number];
  const heard = await engine.ask("encode", { notes, moved: file.moved });
  setTempo(file.qpm);
  showView("square");
  squarePad.moveTo([i % 2, Math.floor(i / 2)]);
  const corner = { name: file.name, z: heard.z, moved: heard.moved, clip: heard.notes };
  instrument.set({ corners: setCorner(i, corner), z: heard.z, clip: heard.notes,
    moved: heard.moved, amounts: {}, temperature: 0, view: "square", square: squarePad.place });
}

/** The first corner that still holds an idea of the model. */
const freeCorner = () => Math.max(instrument.state.corners.findIndex(({ clip }) => !clip), 0);

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") openFiles([...event.dataTransfer.files], freeCorner());
  });
}

// Shaping

const amountSliders = {};
const chance = sliderOf(["as planned", "by chance"], { min: 0, max: 1.5, step: 0.05 },
  (temperature, isFinal) => instrument.set({ temperature }, { isFinal }));
const distance = html("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: 0.3,
  "aria-label": "How far a variation goes" });

function sliderOf([less, more], range, onMove) {
  const value = html("span", {}, "");
  const input = html("input", { type: "range", ...range, value: 0,
    "aria-label": `from ${less} to ${more}`,
    oninput: () => onMove(Number(input.value), false),
    onchange: () => onMove(Number(input.value), true) });
  const element = html("label", { class: "slider" }, html("span", {}, less), value,
    html("span", {}, more), input);
  const show = (number) => {
    input.value = number;
    value.textContent = number ? number.toFixed(2).replace("-", "−") : "";
  };
  return { element, show };
}

function shapeSection() {
  const names = data.model.directions?.names ?? [];
  for (const name of names) {
    const words = WORDS[name] ?? [`less ${formatName(name)}`, `more ${formatName(name)}`];
    amountSliders[name] = sliderOf(words, { min: -MAX_AMOUNT, max: MAX_AMOUNT, step: 0.05 },
      (amount, isFinal) => instrument.set(
        { amounts: { ...instrument.state.amounts, [name]: amount } }, { isFinal }));
  }
  return html("section", { class: "shape", "aria-label": "Shaping" },
    html("h2", {}, "Shape it"),
    html("div", { class: "sliders" }, Object.values(amountSliders).map(({ element }) => element),
      chance.element),
    html("div", { class: "under" },
      html("button", { type: "button", onclick: () => trying(() => vary(Number(distance.value))) },
        "Vary"),
      html("label", { class: "field" }, "a little", distance, "a lot"),
      html("label", { class: "field" }, "Take", seed)),
    html("div", { class: "under" }, midiFields()), said);
}

const seed = html("input", { type: "number", min: 0, max: 2 ** 31, step: 1, value: 0,
  title: "Another number, another throw of the dice, where there is chance",
  onchange: () => instrument.set({ seed: Math.max(Math.floor(Number(seed.value) || 0), 0) }) });

// MIDI

function midiFields() {
  const ports = html("select", { hidden: "", "aria-label": "MIDI device" });
  const channel = html("select", { hidden: "", "aria-label": "MIDI channel" },
    html("option", { value: 0 }, "a channel each"),
    Array.from({ length: 16 }, (_, i) => html("option", { value: i + 1 }, `channel ${i + 1}`)));
  const choose = (found) => {
    looper.output?.silence();
    const port = found[ports.selectedIndex - 1];
    looper.output = port ? new MidiOut(port, Number(channel.value)) : null;
  };
  const button = html("button", { type: "button", onclick: () => trying(async () => {
    const found = await midiPorts();
    if (!found.length) throw new Error("no MIDI device is connected, and no virtual port is open");
    ports.replaceChildren(html("option", {}, "this page"),
      ...found.map(({ name }) => html("option", {}, name)));
    for (const select of [ports, channel]) {
      select.hidden = false;
      select.onchange = () => choose(found);
    }
    button.hidden = true;
  }) }, "Play through MIDI…");
  return [button, ports, channel];
}

// The page

/** melody_2bar -> Melody, 2 bars */
const title = formatName(data.title.replace(/_(\d+)bar$/, ", $1 bars"))
  .replace(/^./, (letter) => letter.toUpperCase());

function heading() {
  const { num_bars: numBars } = settings;
  const length = numBars === 1 ? "one bar" : `${numBars} bars`;
  return html("header", {},
    html("h1", {}, title),
    html("p", { class: "lead" }, `It has learned to play ${KINDS[data.kind]}, ${length} at a time. ` +
      "Press Play, then drag the dot: the music follows."),
    html("p", { class: "muted credit" }, `${data.quality} `, data.licence ? `Licence: ${data.licence}. ` : "",
      "Nothing leaves this page."),
    data.warnings.map((warning) => html("p", { class: "warning", role: "note" }, warning)));
}

function notesSection() {
  return html("section", { class: "notes", "aria-label": "Notes" }, editor.element,
    html("div", { class: "under" },
      html("span", {}, (hasDrums ? "Click to add or remove a hit. " : "") + (hasPitches
        ? "Click to add a note, drag to move it, double-click to remove it." : "")),
      html("button", { type: "button", onclick: () => {
        chooser.dataset.corner = freeCorner();
        chooser.click();
      } }, "Open MIDI files…"), chooser));
}

function showState(state) {
  undoButton.disabled = !instrument.canUndo;
  chance.show(state.temperature);
  seed.value = state.seed;
  for (const [name, slider] of Object.entries(amountSliders)) slider.show(state.amounts[name] ?? 0);
  if (!mapPad.isDragged) mapPad.moveTo(state.map);
  if (!squarePad.isDragged) squarePad.moveTo(state.square);
  if (state.corners !== shown) showCorners(state.corners);
  shown = state.corners;
}
let shown = null; // the corners on the page

async function begin() {
  await engine.ask("start", { model: data.model });
  const saved = location.hash ? fromFragment(location.hash.slice(1)) : null;
  if (saved?.z) {
    setTempo(saved.qpm);
    showView(saved.view);
    instrument.set(saved);
    return;
  }
  const point = async (number) => (await engine.ask("blendPoints",
    { numbers: [number % data.map.points.length], weights: [1] })).z;
  const corners = [];
  for (let i = 1; i <= 4; i++) corners.push({ name: "", z: await point(i), clip: null, moved: 0 });
  instrument.set({ z: await point(FIRST_POINT), clip: null, moved: 0, amounts: {}, temperature: 0,
    seed: 0, corners, view: "map", map: mapPad.points[FIRST_POINT], square: [0.5, 0.5] });
}

addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, button, textarea");
  if (event.key === " " && !isTyping) {
    event.preventDefault();
    toggle();
  } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    instrument.undo();
  }
});

document.title = `${title} – seqvae`;
document.getElementById("page").append(heading(), transport(), padsSection(), notesSection(),
  shapeSection());
undoButton.disabled = true;
trying(begin);
