/*
 * Clips: the music of one window. Needs nothing else.
 *
 *   unpackClip(packed, grid)    a clip from the JSON that Python writes
 *
 * @typedef {Object} Note
 * @property {number} start - onset in steps; a fraction where the performance leaves the grid
 * @property {number} length - in steps
 * @property {number} pitch - MIDI number
 * @property {number} velocity - from 1 to 127
 * @property {number} program - General MIDI program, from 0; not used for drums
 * @property {?string} drum - name of the drum class, null for a pitched note
 *
 * @typedef {Object} Clip
 * @property {Note[]} notes - ordered by onset
 * @property {number} numSteps
 * @property {number} qpm - tempo in quarters per minute
 * @property {string} metre - such as 4/4
 * @property {number} stepsPerQuarter
 * @property {number} stepsPerBar
 * @property {string[]} kit - names of all drum classes, lowest first
 */
"use strict";

/**
 * Each column of a packed clip is an array, or one number if all notes share it. A sound is a
 * program or, from `grid.num_programs` on, an index into `grid.drums`; offsets are in hundredths
 * of a step.
 */
function unpackClip(packed, grid) {
  const value = (column, i) => (Array.isArray(column) ? column[i] : column);
  const unpackNote = (_, i) => {
    const sound = value(packed.sound, i);
    const drum = grid.drums[sound - grid.num_programs] ?? null;
    return {
      start: value(packed.start, i) + value(packed.offset, i) / 100,
      length: value(packed.length, i),
      pitch: value(packed.pitch, i),
      velocity: value(packed.velocity, i),
      program: drum === null ? sound : 0,
      drum,
    };
  };
  const [numerator, denominator] = packed.metre.split("/").map(Number);
  return {
    notes: Array.from({ length: packed.count }, unpackNote).sort((a, b) => a.start - b.start),
    numSteps: packed.steps,
    qpm: packed.qpm,
    metre: packed.metre,
    stepsPerQuarter: grid.steps_per_quarter,
    stepsPerBar: 4 * grid.steps_per_quarter * numerator / denominator,
    kit: grid.drums,
  };
}
