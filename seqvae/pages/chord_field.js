/*
 * The chords that a model plays over, where it knows chords. Needs chord_names.js, controls.js and
 * stage.js.
 */
"use strict";

const FIRST_CHORDS = settings.reads_chords ? parseChords("C Am F G") : [];
const chordInput = html("input", { type: "text", spellcheck: "false", autocomplete: "off",
  placeholder: "C Am F G", title: "They share the bars equally; N is none",
  onchange: () => trying(() => setChords()) });

function setChords() {
  const chords = parseChords(chordInput.value);
  const { numSteps } = looper;
  if (chords.length > numSteps) throw new Error(`${chords.length} chords for ${numSteps} steps`);
  instrument.set({ chords, clip: null });
}

function chordField() {
  return settings.reads_chords
    ? html("label", { class: "field chords" }, "Chords", chordInput) : null;
}

function showChords({ chords }) {
  if (document.activeElement !== chordInput) chordInput.value = chordNames(chords);
}
