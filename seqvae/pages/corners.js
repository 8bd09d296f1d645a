/*
 * Corners with clips of the user, and the files that they come from. Needs stage.js and places.js.
 */
"use strict";

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

function cornerCard({ name, clip }, i) {
  const action = (text, label, act) =>
    actionButton(text, act, `${label} in corner ${CORNERS[i]}`);
  const file = opened[i];
  const bars = file && file.windows.length > 1 ? html("select", {
    "aria-label": `Bars of corner ${CORNERS[i]}`, onchange: () => trying(() =>
      takeWindow(i, bars.selectedIndex)),
  }, file.windows.map(({ bars: [first, last] }, w) => html("option",
    w === file.chosen ? { selected: "" } : {}, `bars ${first}–${last}`))) : null;
  return html("li", { class: "corner", style: `border-left-color:var(--voice-${i})` },
    html("b", {}, `${CORNERS[i]}: ${name || "an idea"}`),
    html("div", {},
      action("Hear", "Hear the clip", () => hearCorner(i)),
      clip && action("Model’s take", "Hear the model’s take of the clip", () => hearTake(i)),
      hasEncoder ? action("Open…", "Open a MIDI file", () => {
        chooser.dataset.corner = i;
        chooser.click();
      }) : null,
      action("Keep this", "Keep what plays", () => keepIn(i)), bars));
}

/** The clip as it comes back from its code. */
function hearTake(i) {
  const { z, context } = instrument.state.corners[i];
  squarePad.moveTo([i % 2, Math.floor(i / 2)]);
  instrument.set({ z, ...context, clip: null, view: "square", square: squarePad.place });
  sound();
}

async function keepIn(i) {
  opened[i] = null;
  const { notes, state: { chords, bar } } = instrument;
  const { z, moved } = await codeOf(notes);
  instrument.set({ corners: setCorner(i,
    { name: "yours", z, clip: notes, context: { moved, chords, bar } }) });
}

/** Each file becomes a corner, from this one on. */
async function openFiles(files, first) {
  await trying(async () => {
    if (!hasEncoder) throw new Error(NO_ENCODER);
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
  const { moved, bar } = file;
  const { notes, chords } = file.windows[number];
  const heard = await engine.ask("encode", { notes, moved, chords, bar });
  setTempo(file.qpm);
  showView("square");
  squarePad.moveTo([i % 2, Math.floor(i / 2)]);
  const context = { moved, chords, bar };
  const corner = { name: file.name, z: heard.z, clip: heard.notes, context };
  instrument.set({ corners: setCorner(i, corner), z: heard.z, clip: heard.notes, ...context,
    amounts: {}, temperature: 0, view: "square", square: squarePad.place });
  if (!VIEWS[settings.encoder_sees]) return;
  hearTake(i);
  say(`This is the model’s take of your clip. “Hear” in corner ${CORNERS[i]} plays the clip itself.`);
}

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") openFiles([...event.dataTransfer.files], freeCorner());
  });
}
