/*
 * What the engine answers of music. Needs all files before it in ENGINE.
 *
 * A request names the chords of the window, and the number of its bar among those of the model.
 * `moved` is by how many semitones a clip was transposed to the common key, for those models that
 * know one key: it is transposed back where it is heard.
 */
"use strict";

function represent({ grid }) {
  return { bars: grid.bars.map((_, number) => tokensFor(grid, number)) };
}

/** The bars of a code, one after the other. */
async function play({ id, z, amounts = {}, temperature, seed, moved = 0, chords = [], bar = 0 }) {
  engine.latest = id;
  const { decoder, bars: { [bar]: tokens } } = engine;
  const conditions = tokens.conditions(chords.map((chord) => movedChord(chord, moved)));
  const ids = [];
  for (const step of decoder.decode(shaped(z, amounts), { temperature, seed, conditions })) {
    ids.push(step);
    if (ids.length % tokens.grid.model_bar) continue;
    const isLast = ids.length === decoder.steps.max_steps;
    postMessage({ id, notes: transposed(tokens.notes(ids), -moved), isLast });
    await pause();
    if (engine.latest !== id) return;
  }
}

/** A clip as the model hears it, and its code. `moved` is that of its whole file, if it has one. */
function encode({ notes, moved = wayToCommonKey(notes), chords = [], bar = 0 }) {
  const { encoder, bars: { [bar]: tokens } } = engine;
  const ids = tokens.ids(transposed(notes, moved),
    chords.map((chord) => movedChord(chord, moved)));
  const seen = tokens.seen ? tokens.seen(ids) : ids;
  return { z: encoder.mean(seen), notes: transposed(tokens.notes(ids), -moved), moved };
}

function wayToCommonKey(notes) {
  const { keys, min_pitch: low, max_pitch: high } = engine.bars[0].grid;
  return keys === "normalised" ? toCommonKey(notes, { low, high }) : 0;
}

function transposed(notes, semitones) {
  if (!semitones) return notes;
  return notes.map((note) => (note.drum === null
    ? { ...note, pitch: note.pitch + semitones } : note));
}

/** The windows of a file that are not silent: their notes and chords, and where each begins. */
function read({ bytes }) {
  const { grid } = engine.bars[0];
  const song = readMidi(new Uint8Array(bytes), grid.steps_per_quarter);
  const tokens = engine.bars.find(({ grid: { metres } }) => metres.includes(song.metre));
  if (!tokens) {
    const metres = engine.bars.flatMap((bar) => bar.grid.metres);
    throw new Error(`its metre is ${song.metre}; this model plays ${metres.join(" or ")}`);
  }
  const windows = windowsOf(song, tokens).filter(({ notes }) => notes.length);
  if (!windows.length) throw new Error("it is silent");
  const moved = wayToCommonKey(song.tracks.flatMap(({ notes }) => notes)); // of the whole song
  const column = grid.reads_chords ? chordColumn(song, grid.steps_per_quarter, moved) : [];
  for (const window of windows) window.chords = chordsOf(window, column, tokens);
  return { windows, moved, qpm: song.qpm, bar: tokens.grid.number };
}

/** The chord of each step of a song that its notes suggest; `moved` is its way to a common key. */
function chordColumn({ tracks, metre, numSteps }, stepsPerQuarter, moved) {
  const notes = transposed(tracks.flatMap((track) => track.notes), moved);
  const bar = barSteps(metre, stepsPerQuarter);
  const hop = bar % (2 * stepsPerQuarter) ? bar : bar / 2;
  return Array.from({ length: Math.ceil(numSteps / hop) }, (_, i) => {
    const end = Math.min((i + 1) * hop, numSteps);
    const chord = movedChord(suggestedChord(notes, i * hop, end), -moved);
    return new Array(end - i * hop).fill(chord);
  }).flat();
}

/** Those of a window, with the steps that fill up its bars. */
function chordsOf({ start }, column, tokens) {
  if (!column.length) return [];
  const { bar, model_bar: modelBar } = tokens.grid;
  return Array.from({ length: tokens.numModelSteps }, (_, step) => {
    const place = Math.floor(step / modelBar) * bar + step % modelBar;
    return step % modelBar < bar ? column[start + place] ?? 0 : 0;
  });
}

Object.assign(ANSWERS, { play, encode, read });
