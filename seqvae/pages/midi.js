"use strict";

// MIDI files, format 0: a channel for each program, the tenth for drums

const TICKS = 480; // of a quarter

/** The bytes of a number, seven bits each, all but the last marked. */
function variableLength(number) {
  const bytes = [number & 127];
  while ((number >>= 7)) bytes.unshift((number & 127) | 128);
  return bytes;
}

function midiEvents(notes) {
  const programs = [...new Set(notes.filter((note) => !isDrum(note)).map((note) => note.sound))];
  const free = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15];
  const channelOf = (note) =>
    (isDrum(note) ? 9 : free[programs.indexOf(note.sound) % free.length]);
  const tick = (step) => Math.max(0, Math.round(step * TICKS / data.grid.steps_per_quarter));
  const events = programs.map((program, i) =>
    ({ tick: 0, order: 0, bytes: [0xc0 | free[i % free.length], program] }));
  for (const note of notes) {
    const channel = channelOf(note);
    events.push(
      { tick: tick(note.start), order: 2, bytes: [0x90 | channel, note.pitch, note.velocity] },
      { tick: tick(note.start + note.length), order: 1, bytes: [0x80 | channel, note.pitch, 0] });
  }
  return events.sort((a, b) => a.tick - b.tick || a.order - b.order);
}

function midiFile(clip, notes) {
  const big = (number, size) =>
    Array.from({ length: size }, (_, i) => (number >> (8 * (size - 1 - i))) & 255);
  const ascii = (text) => [...text].map((character) => character.charCodeAt(0));
  const track = [0, 0xff, 0x51, 3, ...big(Math.round(6e7 / clip.qpm), 3)];
  let now = 0;
  for (const event of midiEvents(notes)) {
    track.push(...variableLength(event.tick - now), ...event.bytes);
    now = event.tick;
  }
  track.push(0, 0xff, 0x2f, 0);
  return new Uint8Array([...ascii("MThd"), ...big(6, 4), ...big(0, 2), ...big(1, 2),
    ...big(TICKS, 2), ...ascii("MTrk"), ...big(track.length, 4), ...track]);
}
