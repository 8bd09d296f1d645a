/*
 * Piano rolls. Needs elements.js; clip.js describes a clip.
 *
 *   rollLayout(clips)               the rows that the rolls of several clips share
 *   new PianoRoll(clip, layout)     the picture of a clip; `layout` is its own if left out
 *     .element                      to be put on a page
 *     .showPlayhead(isPlaying)
 *     .movePlayhead(steps)
 *   describeClip(clip)              "12 notes from C4 to G5 in 2 bars"
 *   pitchName(pitch)                "C4" for 60
 *
 * The page's CSS defines the classes roll, bar, playhead, playing and silent, and the colours
 * --drum and --voice-0 to --voice-5, one for each program.
 */
"use strict";

const PITCH_NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const NUM_VOICE_COLOURS = 6;
const MIN_ROWS = 4;
const PADDING = 2; // semitones below the lowest pitch and above the highest
const ROLL_MARGIN = 0.3; // around the notes, in steps and in rows: the corners are round
const DRUM_HEIGHT = 11; // pixels of a row, as all heights
const PITCH_HEIGHT = 5.5;
const MAX_PITCHES_HEIGHT = 200; // of all rows of pitches together
const MIN_HEIGHT = 56;

const calmMotion = matchMedia("(prefers-reduced-motion: reduce)");

function pitchName(pitch) {
  return PITCH_NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);
}

/** Rows are counted from the bottom: one for each drum that occurs, then one for each pitch. */
function rollLayout(clips) {
  const notes = clips.flatMap((clip) => clip.notes);
  const pitched = notes.filter((note) => note.drum === null);
  const struck = new Set(notes.map((note) => note.drum));
  const drums = clips[0].kit.filter((name) => struck.has(name));
  const programs = [...new Set(pitched.map((note) => note.program))].sort((a, b) => a - b);
  // Math.min(...pitches) would overflow the stack: a report may hold more than 100,000 notes.
  const low = pitched.reduce((least, { pitch }) => Math.min(least, pitch), 127) - PADDING;
  const high = pitched.reduce((most, { pitch }) => Math.max(most, pitch), low + 12) + PADDING;
  const hasPitches = pitched.length > 0;
  const firstPitchRow = drums.length > 0 && hasPitches ? drums.length + 1 : drums.length;
  const pitchHeight = Math.min(MAX_PITCHES_HEIGHT, PITCH_HEIGHT * (high - low));
  const octaveRows = [...Array(11).keys()].map((octave) => firstPitchRow + 12 * octave - low);
  return {
    drums,
    programs,
    numRows: Math.max(firstPitchRow + (hasPitches ? high - low + 1 : 0), MIN_ROWS),
    height: Math.max(drums.length * DRUM_HEIGHT + (hasPitches ? pitchHeight : 0), MIN_HEIGHT),
    octaveRows: hasPitches ? octaveRows.filter((row) => row > firstPitchRow) : [],
    rowOf: ({ drum, pitch }) =>
      (drum === null ? firstPitchRow + pitch - low : drums.indexOf(drum)),
  };
}

class PianoRoll {
  constructor(clip, layout = rollLayout([clip])) {
    this.width = Math.max(clip.numSteps, 1);
    this.playhead = html("div", { class: "playhead" });
    this.stepsPerQuarter = clip.stepsPerQuarter;
    const [width, height] = [this.width, layout.numRows].map((size) => size + 2 * ROLL_MARGIN);
    const picture = svg("svg", {
      viewBox: `${-ROLL_MARGIN} ${-ROLL_MARGIN} ${width} ${height}`, preserveAspectRatio: "none",
      role: "img", "aria-label": `Piano roll: ${describeClip(clip)}`,
    }, this.gridLines(clip, layout), clip.notes.map((note) => noteBox(note, layout)));
    this.element = html("div", { class: "roll", style: `height:${layout.height}px` }, picture,
      clip.notes.length ? null : html("span", { class: "silent" }, "silence"), this.playhead);
  }

  /** A line for every beat and bar, and below every C. */
  gridLines({ stepsPerQuarter, stepsPerBar }, { numRows, octaveRows }) {
    const lines = [];
    for (let step = stepsPerQuarter; step < this.width; step += stepsPerQuarter) {
      lines.push(svg("line", { x1: step, x2: step, y1: -1, y2: numRows + 1,
        class: step % stepsPerBar ? null : "bar" }));
    }
    for (const y of octaveRows.filter((row) => row < numRows).map((row) => numRows - row)) {
      lines.push(svg("line", { x1: -1, x2: this.width + 1, y1: y, y2: y }));
    }
    return lines;
  }

  showPlayhead(isPlaying) {
    this.element.classList.toggle("playing", isPlaying);
  }

  /** Where the user prefers reduced motion, the playhead moves from beat to beat. */
  movePlayhead(steps) {
    const beat = Math.floor(steps / this.stepsPerQuarter) * this.stepsPerQuarter;
    const place = (calmMotion.matches ? beat : steps) + ROLL_MARGIN;
    this.playhead.style.left = `${100 * place / (this.width + 2 * ROLL_MARGIN)}%`;
  }
}

function noteBox(note, layout) {
  const { start, length, pitch, velocity, program, drum } = note;
  const voice = layout.programs.indexOf(program) % NUM_VOICE_COLOURS;
  const colour = drum === null ? `voice-${voice}` : "drum";
  const opacity = (0.4 + 0.6 * velocity / 127).toFixed(2);
  return svg("rect", {
    x: start, width: Math.max(length - 0.14, 0.3), rx: 0.12,
    y: layout.numRows - 1 - layout.rowOf(note) + 0.08, height: 0.84,
    style: `fill:var(--${colour});opacity:${opacity}`,
  }, svg("title", {}, `${drum ?? pitchName(pitch)}, velocity ${velocity}`));
}

function describeClip({ notes, numSteps, stepsPerBar }) {
  const pitches = notes.filter((note) => note.drum === null).map((note) => note.pitch);
  const numHits = notes.length - pitches.length;
  const count = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;
  const parts = [];
  if (pitches.length) {
    const [low, high] = [Math.min(...pitches), Math.max(...pitches)].map(pitchName);
    parts.push(`${count(pitches.length, "note")} from ${low} to ${high}`);
  }
  if (numHits) parts.push(count(numHits, "drum hit"));
  const numBars = Number((numSteps / stepsPerBar).toFixed(1));
  return `${parts.join(" and ") || "silence"} in ${count(numBars, "bar")}`;
}
