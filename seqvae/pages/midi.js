/*
 * Standard MIDI files. Needs nothing else; clip.js describes a clip.
 *
 *   midiFile(clip)    the bytes of a file of format 0, as a Uint8Array
 *
 * Each program has a channel of its own, as far as there are channels; drums are on channel 10.
 */
"use strict";

const TICKS_PER_QUARTER = 480;
const DRUM_CHANNEL = 9; // counted from 0
const PITCHED_CHANNELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15];

function midiFile(clip) {
  const track = midiTrack(clip);
  return new Uint8Array([
    ...ascii("MThd"), ...bigEndian(6, 4),
    ...bigEndian(0, 2), ...bigEndian(1, 2), ...bigEndian(TICKS_PER_QUARTER, 2),
    ...ascii("MTrk"), ...bigEndian(track.length, 4), ...track,
  ]);
}

/**
 * Metre, tempo, the events and the end of the track, each after the ticks since the one before. The
 * track ends with the clip, not with its last note: so loops keep their length.
 */
function midiTrack(clip) {
  const [numerator, denominator] = clip.metre.split("/").map(Number);
  const bytes = [
    0, 0xff, 0x58, 4, numerator, Math.log2(denominator), 24, 8,
    0, 0xff, 0x51, 3, ...bigEndian(Math.round(6e7 / clip.qpm), 3),
  ];
  let now = 0;
  for (const event of midiEvents(clip)) {
    bytes.push(...variableLength(event.tick - now), ...event.bytes);
    now = event.tick;
  }
  const end = Math.max(now, tickOf(clip.numSteps, clip));
  return [...bytes, ...variableLength(end - now), 0xff, 0x2f, 0];
}

function tickOf(step, { stepsPerQuarter }) {
  return Math.max(0, Math.round(step * TICKS_PER_QUARTER / stepsPerQuarter));
}

/** Program changes, then notes. Within a tick a note ends before the next one starts. */
function midiEvents(clip) {
  const pitched = clip.notes.filter((note) => note.drum === null);
  const programs = [...new Set(pitched.map((note) => note.program))];
  const channelOf = (program) =>
    PITCHED_CHANNELS[programs.indexOf(program) % PITCHED_CHANNELS.length];
  const events = programs.map((program) =>
    ({ tick: 0, order: 0, bytes: [0xc0 | channelOf(program), program] }));
  for (const { start, length, pitch, velocity, program, drum } of clip.notes) {
    const channel = drum === null ? channelOf(program) : DRUM_CHANNEL;
    events.push(
      { tick: tickOf(start, clip), order: 2, bytes: [0x90 | channel, pitch, velocity] },
      { tick: tickOf(start + length, clip), order: 1, bytes: [0x80 | channel, pitch, 0] });
  }
  return events.sort((a, b) => a.tick - b.tick || a.order - b.order);
}

function ascii(text) {
  return [...text].map((character) => character.charCodeAt(0));
}

function bigEndian(number, size) {
  return Array.from({ length: size }, (_, i) => (number >> (8 * (size - 1 - i))) & 255);
}

/** Seven bits a byte; every byte but the last has its top bit set. */
function variableLength(number) {
  const bytes = [number & 127];
  while ((number >>= 7)) bytes.unshift((number & 127) | 128);
  return bytes;
}
