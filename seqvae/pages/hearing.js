/*
 * The tracks of a file as the voices of a model: which is the melody, which the bass, which are
 * drums. Needs tokens.js and midi_reader.js, which makes the song.
 *
 *   hear(song, tokens)      the notes that the model can take, each with its voice
 *   windowsOf(song, tokens) the windows of a song, end to end: [{ start, bars, notes }], of which
 *                           `bars` are its first and its last
 */
"use strict";

const BASS_NAMES = /\b(sub|synth|slap|contra|double|finger|picked|fretless)?bass(es|o|line)?\b/i;
const MELODY_NAMES =
  /\b(leads?|melod(y|ie|ia)|vocals?|voice|voice|sopran\w*|theme|tune|solo)\b/i;
const MOSTLY_CHORDS = 0.5; // of its onsets

function windowsOf(song, tokens) {
  const { grid: { steps_per_quarter: stepsPerQuarter }, numSteps } = tokens;
  const bar = barSteps(song.metre, stepsPerQuarter);
  const notes = hear(song, tokens);
  const windows = [];
  for (let start = 0; start < Math.max(song.numSteps, 1); start += numSteps) {
    const inside = notes.filter((note) => note.start >= start && note.start < start + numSteps)
      .map((note) => ({ ...note, start: note.start - start }));
    windows.push({ start, bars: [start / bar + 1, (start + numSteps) / bar], notes: inside });
  }
  return windows;
}

function hear(song, tokens) {
  const { kind } = tokens.grid;
  const drums = song.tracks.filter(({ isDrum }) => isDrum);
  const pitched = song.tracks.filter(({ isDrum }) => !isDrum);
  const given = (tracks, voice) => tracks.flatMap(({ notes }) =>
    notes.map((note) => ({ ...note, voice })));
  let notes;
  if (kind === "drums" || kind === "groove") {
    const isOfTaps = ["taps", "tapping"].includes(tokens.grid.encoder_sees);
    const kits = drums.length ? drums : isOfTaps ? asTaps(song.tracks, tokens)
      : song.tracks.length === 1 ? song.tracks : [];
    notes = asDrums(given(kits, 0), tokens, kind === "groove");
  } else if (kind === "polyphony") {
    notes = given(pitched, 0);
    if (tokens.grid.has_programs) notes.push(...asDrums(given(drums, 0), tokens, false));
  } else if (kind === "voices") notes = choir(pitched, tokens.voices.length);
  else {
    const bass = kind === "trio" ? bassOf(pitched) : null;
    const melody = melodyOf(pitched.filter((track) => track !== bass));
    notes = [...(melody ? line(melody, 0, false) : []), ...(bass ? line(bass, 1, true) : [])];
    if (kind === "trio") notes.push(...asDrums(given(drums, 2), tokens, false));
  }
  if (!notes.length) throw new Error(`there are no notes for ${tokens.voices.join(", ")} in it`);
  return inOrder(notes);
}

/** Tracks whose notes are struck on one drum. */
function asTaps(tracks, { grid: { written } }) {
  return tracks.map((track) => ({ ...track,
    notes: track.notes.map((note) => ({ ...note, pitch: written[TAPPED] })) }));
}

function asDrums(notes, { grid }, isPerformed) {
  return notes.filter(({ pitch }) => classOf(pitch, grid) >= 0 || grid.kind === "polyphony")
    .map((note) => ({ ...note, program: 0, drum: drumName(note.pitch, grid),
      start: note.start + (isPerformed ? note.offset : 0) }));
}

function melodyOf(tracks) {
  const named = tracks.filter(({ name }) => MELODY_NAMES.test(name));
  const lines = tracks.filter((track) => chordShare(track.notes) <= MOSTLY_CHORDS);
  const pool = named.length ? named : lines.length > 1
    ? lines.filter((track) => !isBass(track) || lines.every(isBass)) : lines;
  return extreme(pool, height);
}

function bassOf(tracks) {
  const claiming = tracks.filter(isBass);
  if (claiming.length) return extreme(claiming, (track) => -height(track));
  const lines = tracks.filter((track) => chordShare(track.notes) <= MOSTLY_CHORDS);
  const lowest = lines.length > 1 ? extreme(lines, (track) => -height(track)) : null;
  const isLow = lowest && lowest.notes.filter(({ pitch }) => pitch < 60).length
    > lowest.notes.length / 2;
  return isLow ? lowest : null;
}

function isBass({ name, notes }) {
  const { program } = notes[0];
  return BASS_NAMES.test(name) || (program >= 32 && program < 40) || program === 43;
}

/** Voices from low to high; of fewer, the highest ones, and the lowest for a bass. */
function choir(tracks, count) {
  const lines = tracks.toSorted((a, b) => height(a) - height(b));
  if (lines.length > count) throw new Error(`it has ${lines.length} lines; this model has ${count}`);
  const rest = count - lines.length;
  return lines.flatMap((track, i) => line(track, i === 0 && lines.length > 1 ? 0 : i + rest,
    i === 0));
}

/** One voice: the highest note of each onset, or the lowest; an onset ends the note before it. */
function line({ notes }, voice, isLow) {
  const found = [];
  for (const note of notes.toSorted((a, b) => a.start - b.start
      || (isLow ? a.pitch - b.pitch : b.pitch - a.pitch))) {
    const before = found[found.length - 1];
    if (before?.start === note.start) continue;
    if (before) before.length = Math.min(before.length, note.start - before.start);
    found.push({ ...note, voice });
  }
  return found;
}

function height(track) {
  const notes = line(track, 0, isBass(track));
  return notes.reduce((sum, { pitch }) => sum + pitch, 0) / notes.length;
}

function chordShare(notes) {
  const counts = new Map();
  for (const { start } of notes) counts.set(start, (counts.get(start) ?? 0) + 1);
  return [...counts.values()].filter((count) => count > 1).length / counts.size;
}

function extreme(items, value) {
  return items.reduce((best, item) => (best && value(best) >= value(item) ? best : item), null);
}
