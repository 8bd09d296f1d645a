/*
 * The page of the instrument. Needs all scripts before it.
 */
"use strict";

const KINDS = { melody: "melodies", drums: "drum beats", groove: "drum grooves, with their feel",
  trio: "melodies with bass and drums", voices: "music for several voices",
  polyphony: "piano music" };

function lead() {
  const { num_bars: numBars } = settings;
  const length = numBars === 1 ? "one bar" : `${numBars} bars`;
  const about = VIEWS[settings.encoder_sees];
  return about ? `${about} Or press Play, then drag the dot: the music follows.`
    : `It has learned to play ${KINDS[data.kind]}, ${length} at a time. `
      + "Press Play, then drag the dot: the music follows.";
}

function notesSection() {
  return html("section", { class: "notes", "aria-label": "Notes" }, editor.element,
    html("div", { class: "under" },
      html("span", {}, (hasDrums ? "Click to add or remove a hit. " : "") + (hasPitches
        ? "Click to add a note, drag to move it, double-click to remove it." : "")),
      hasEncoder ? html("button", { type: "button", onclick: () => {
        chooser.dataset.corner = freeCorner();
        chooser.click();
      } }, "Open MIDI files…") : html("span", {}, NO_ENCODER), chooser));
}

function showState(state) {
  undoButton.disabled = !instrument.canUndo;
  setBar(state.bar);
  metre.selectedIndex = state.bar;
  showChords(state);
  showShape(state);
  showPlaces(state);
}

addEventListener("keydown", (event) => {
  if (event.key !== " " || event.target.closest("input, select, button, textarea")) return;
  event.preventDefault();
  toggle();
});

document.getElementById("page").append(heading(lead()), transport(), padsSection(pathButton),
  notesSection(), shapeSection(html("div", { class: "under" }, midiFields())));
trying(() => begin({ chords: FIRST_CHORDS, bar: 0 }, ({ qpm }) => setTempo(qpm)));
