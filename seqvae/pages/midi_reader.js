/*
 * MIDI files -> notes on a grid. Needs nothing else; clip.js describes a note.
 *
 *   readMidi(bytes, stepsPerQuarter)    { tracks, qpm, metre, numSteps }
 *
 * A track is { name, program, isDrum, notes }: what one channel of a track chunk plays. Onsets and
 * ends are rounded to the nearest step. Of the tempos and the metres the first one counts.
 */
"use strict";

const DRUMS_ON = 9; // the channel, counted from 0
const MAX_TRACKED_NOTES = 500000;

function readMidi(bytes, stepsPerQuarter) {
  const file = new ByteReader(bytes);
  if (file.text(4) !== "MThd") throw new Error("this is no MIDI file");
  const headerSize = file.number(4);
  file.skip(2);
  const numTracks = file.number(2);
  const resolution = file.number(2);
  file.skip(headerSize - 6);
  if (!resolution || resolution & 0x8000) throw new Error("its ticks count seconds, not quarters");
  const song = { tracks: [], qpm: 120, metre: "4/4", numTicks: 0, said: {} };
  for (let number = 0; number < numTracks && file.left > 8; number++) {
    const kind = file.text(4);
    const size = file.number(4);
    if (kind === "MTrk") readTrack(file.part(size), song);
    else file.skip(size);
  }
  const stepOf = (tick) => tick * stepsPerQuarter / resolution;
  const tracks = song.tracks.filter(({ notes }) => notes.length);
  for (const track of tracks) track.notes = track.notes.map((note) => onGrid(note, track, stepOf));
  const ends = tracks.flatMap(({ notes }) => notes.map(({ start, length }) => start + length));
  const last = ends.reduce((most, end) => Math.max(most, end), 0);
  const { qpm, metre } = song;
  const numSteps = clipLength(song, Math.ceil(last), stepsPerQuarter, stepOf);
  return { tracks, qpm, metre, numSteps };
}

/** A file may say that it ends at a later bar line; more silence than music is a mistake. */
function clipLength({ numTicks, metre }, last, stepsPerQuarter, stepOf) {
  const bar = barSteps(metre, stepsPerQuarter);
  const [length, music] = [stepOf(numTicks), Math.ceil(last / bar) * bar];
  return length % bar === 0 && length >= music && length <= 2 * music ? length : last;
}

function barSteps(metre, stepsPerQuarter) {
  const [beats, unit] = metre.split("/").map(Number);
  return 4 * stepsPerQuarter * beats / unit;
}

function onGrid({ on, off, pitch, velocity, program }, { isDrum }, stepOf) {
  const step = Math.floor(stepOf(on) + 0.5);
  const end = Math.max(Math.floor(stepOf(off) + 0.5), step + 1);
  return { start: step, offset: stepOf(on) - step, length: end - step, pitch, velocity,
    program: isDrum ? 0 : program, drum: isDrum ? "" : null };
}

class ByteReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.place = 0;
  }

  get left() { return this.bytes.length - this.place; }

  byte() {
    if (this.left <= 0) throw new Error("the file ends early");
    return this.bytes[this.place++];
  }

  skip(count) { this.place += count; }

  number(size) {
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + this.byte();
    return value;
  }

  /** Seven bits a byte; every byte but the last has its top bit set. */
  variable() {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const byte = this.byte();
      value = value * 128 + (byte & 127);
      if (byte < 128) break;
    }
    return value;
  }

  text(size) { return String.fromCharCode(...this.part(size).bytes); }

  part(size) {
    const part = new ByteReader(this.bytes.subarray(this.place, this.place + size));
    this.skip(size);
    return part;
  }
}

function readTrack(chunk, song) {
  const channels = new Map(); // the tracks of this chunk
  const open = new Map(); // notes that sound
  let [tick, status, name] = [0, 0, ""];
  while (chunk.left > 0) {
    tick += chunk.variable();
    const first = chunk.byte();
    if (first < 0x80) chunk.place -= 1; // the status of the event before goes on
    else status = first;
    if (status === 0xff) {
      const kind = chunk.byte();
      const data = chunk.part(chunk.variable());
      if (kind === 3 && !name) name = data.text(data.left);
      else if (kind === 0x51 && !song.said.qpm) {
        song.qpm = 6e7 / data.number(3);
        song.said.qpm = true;
      } else if (kind === 0x58 && !song.said.metre) {
        song.metre = `${data.byte()}/${2 ** data.byte()}`;
        song.said.metre = true;
      }
    } else if (status >= 0xf0) chunk.skip(chunk.variable());
    else playEvent(chunk, status, tick, channels, open);
  }
  song.numTicks = Math.max(song.numTicks, tick);
  for (const notes of open.values()) for (const note of notes) note.off = tick;
  for (const track of channels.values()) song.tracks.push({ ...track, name });
}

function playEvent(chunk, status, tick, channels, open) {
  const channel = status & 15;
  if (!channels.has(channel)) {
    channels.set(channel, { program: 0, isDrum: channel === DRUMS_ON, notes: [] });
  }
  const track = channels.get(channel);
  const kind = status >> 4;
  const first = chunk.byte();
  if (kind === 12) {
    track.program = first;
    return;
  }
  if (kind === 13) return;
  const second = chunk.byte();
  if (kind !== 8 && kind !== 9) return;
  const key = channel * 128 + first;
  if (kind === 9 && second > 0) {
    if (track.notes.length >= MAX_TRACKED_NOTES) throw new Error("it has too many notes");
    const note = { on: tick, off: null, pitch: first, velocity: second, program: track.program };
    track.notes.push(note);
    if (!open.has(key)) open.set(key, []);
    open.get(key).push(note);
  } else {
    const note = open.get(key)?.shift(); // the one that was struck first ends first
    if (note) note.off = tick;
  }
}
