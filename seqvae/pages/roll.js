"use strict";

// Notes of a clip

/** The notes from columns, of which a number stands for a column of equals. */
function notesOf(clip) {
  const at = (column, i) => (Array.isArray(column) ? column[i] : column);
  return Array.from({ length: clip.count }, (_, i) => ({
    start: at(clip.start, i) + at(clip.offset, i) / 100, length: at(clip.length, i),
    pitch: at(clip.pitch, i), velocity: at(clip.velocity, i), sound: at(clip.sound, i),
  }));
}

const isDrum = (note) => note.sound >= data.grid.num_programs;
const drumOf = (note) => data.grid.drums[note.sound - data.grid.num_programs];

function pitchName(pitch) {
  const names = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
  return names[pitch % 12] + (Math.floor(pitch / 12) - 1);
}

/** Seconds of a step. */
const secondsOfStep = (clip) => 60 / clip.qpm / data.grid.steps_per_quarter;

// A clip: its piano roll, and the buttons that play and save it

/** The rows of the notes of several clips: drums below, pitches above. */
function rowsOf(clips) {
  const notes = clips.flatMap(notesOf);
  const sounds = [...new Set(notes.map((note) => note.sound))].sort((a, b) => a - b);
  const drums = sounds.filter((sound) => sound >= data.grid.num_programs);
  const pitches = notes.filter((note) => !isDrum(note)).map((note) => note.pitch);
  const low = pitches.reduce((a, b) => Math.min(a, b), 127) - 2;
  const high = pitches.reduce((a, b) => Math.max(a, b), low + 12) + 2;
  const kit = drums.length ? drums.length + (pitches.length ? 1 : 0) : 0;
  return {
    count: Math.max(kit + (pitches.length ? high - low + 1 : 0), 4),
    height: drums.length * 11 + (pitches.length ? Math.min(200, 5.5 * (high - low)) : 0),
    voices: sounds.filter((sound) => sound < data.grid.num_programs),
    drums: drums.map((sound) => data.grid.drums[sound - data.grid.num_programs]),
    row: (note) => (isDrum(note) ? drums.indexOf(note.sound) : kit + note.pitch - low),
    octaves: pitches.length
      ? [...Array(11).keys()].map((octave) => kit + 12 * octave - low).filter((row) => row > kit)
      : [],
  };
}

function noteBox(note, rows) {
  const voice = isDrum(note) ? "drum" : `voice-${rows.voices.indexOf(note.sound) % 6}`;
  const name = isDrum(note) ? drumOf(note) : pitchName(note.pitch);
  return svg("rect", {
    x: note.start, width: Math.max(note.length - 0.14, 0.3), rx: 0.12,
    y: rows.count - 1 - rows.row(note) + 0.08, height: 0.84,
    style: `fill:var(--${voice});opacity:${(0.4 + 0.6 * note.velocity / 127).toFixed(2)}`,
  }, svg("title", {}, `${name}, velocity ${note.velocity}`));
}

function describe(clip, notes) {
  const drums = notes.filter(isDrum).length;
  const pitches = notes.filter((note) => !isDrum(note)).map((note) => note.pitch);
  const kinds = [
    ...(pitches.length ? [`${pitches.length} notes from ${pitchName(Math.min(...pitches))} to ` +
      pitchName(Math.max(...pitches))] : []),
    ...(drums ? [`${drums} drum hits`] : []),
  ];
  const bars = +(clip.steps / data.grid.steps_per_bar).toFixed(1);
  return `${kinds.join(" and ") || "silence"} in ${bars} bars`;
}

const MARGIN = 0.3; // of a roll, in steps and in rows: its corners are round

function roll(clip, notes, rows) {
  const { steps_per_quarter, steps_per_bar } = data.grid;
  const width = Math.max(clip.steps, 1);
  const [x, y] = [width, rows.count].map((size) => size + 2 * MARGIN);
  const lines = [];
  for (let step = steps_per_quarter; step < width; step += steps_per_quarter) {
    lines.push(svg("line", { x1: step, x2: step, y1: -1, y2: rows.count + 1,
      class: step % steps_per_bar ? null : "bar" }));
  }
  for (const row of rows.octaves.filter((row) => row < rows.count)) {
    lines.push(svg("line", { x1: -1, x2: width + 1, y1: rows.count - row, y2: rows.count - row }));
  }
  return html("div", { class: "roll", style: `height:${Math.max(rows.height, 56)}px` },
    svg("svg", { viewBox: `${-MARGIN} ${-MARGIN} ${x} ${y}`, preserveAspectRatio: "none",
      role: "img", "aria-label": `Piano roll: ${describe(clip, notes)}` },
      lines, notes.map((note) => noteBox(note, rows))),
    notes.length ? null : html("span", { class: "silent" }, "silence"),
    html("div", { class: "playhead" }));
}
