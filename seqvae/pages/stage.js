/*
 * What the page of the instrument is made of: its data, and all that computes and sounds. Needs
 * engine.js, looper.js, editor.js, instrument.js and controls.js.
 */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const { grid: settings } = data.model;
const hasDrums = ["drums", "groove", "trio"].includes(data.kind);
const hasPitches = !["drums", "groove"].includes(data.kind);
const VOICES = { melody: ["melody"], trio: ["melody", "bass", "drums"], drums: ["drums"],
  groove: ["drums"] };
const hasEncoder = "encoder.mean.weight" in data.model.shapes;
const NO_ENCODER = "This model has no encoder: it cannot take clips of yours.";
/** What models are for that do not see all of a clip: a clip of the user is what they work on. */
const VIEWS = {
  hits: "It gives stiff drums the feel of a drummer: open a MIDI file of drums.",
  taps: "It drums along with what you tap: open a MIDI file of taps, of claps or of a tune.",
  tapping: "It drums along with what you tap: open a MIDI file of taps, of claps or of a tune.",
};
/** What of a state belongs to a clip, and not to the code of a place. */
const AFRESH = { clip: null, moved: 0 };

const engine = new Engine(document.getElementById("engine").textContent);
const looper = new Looper(gridOf(0), {
  onMove: (steps) => editor.movePlayhead(steps),
  onStop: () => showPlaying(false),
  onTurn: () => followPath(),
});
const editor = new RollEditor({
  ...gridOf(0),
  voices: VOICES[data.kind] ?? [], drums: hasDrums ? settings.classes : [],
  drumPitches: settings.written, hasPitches,
  programOf: (voice) => (data.kind === "trio" && voice === 1 ? 33 : 0),
}, { onEdit: (notes) => edit(notes), onChoose: (note) => looper.preview(note) });
const instrument = new Instrument(engine, {
  barSteps: settings.bars,
  onNotes: (notes) => {
    looper.setNotes(notes);
    editor.setNotes(notes);
  },
  onState: (state) => showState(state),
});

/** Of one of the model's bars. */
function gridOf(bar) {
  const { bars, num_bars: numBars, steps_per_quarter: stepsPerQuarter } = settings;
  return { numSteps: numBars * bars[bar], stepsPerQuarter, stepsPerBar: bars[bar] };
}

/** Where a state has another bar than the one before, everything is as long as it is. */
function setBar(bar) {
  const grid = gridOf(bar);
  if (grid.stepsPerBar === looper.stepsPerBar) return;
  looper.setGrid(grid);
  editor.setGrid(grid);
}

function currentClip() {
  const { bar } = instrument.state;
  return { ...gridOf(bar), notes: instrument.notes, qpm: looper.qpm,
    metre: settings.metres[bar][0], kit: data.grid.drums };
}

/** The code of notes, and how they are heard; without an encoder they keep the code that plays. */
async function codeOf(notes) {
  const { z, moved, chords, bar } = instrument.state;
  return hasEncoder ? engine.ask("encode", { notes, chords, bar }) : { z, moved, notes };
}

async function edit(notes) {
  await trying(async () => {
    const heard = await codeOf(notes);
    instrument.set({ z: heard.z, clip: heard.notes, moved: heard.moved, amounts: {},
      temperature: 0 });
  });
}
