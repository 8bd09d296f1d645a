/*
 * Notes to a MIDI device or another program. Needs nothing else.
 *
 *   midiPorts()                     a promise of the outputs there are; asks the user first
 *   new MidiOut(port, channel)      channel from 1 to 16, or 0 for one for each voice
 *     .play(note, delay, seconds)   times in seconds from now
 *     .sendDue(ahead)               ends the notes that end within so many seconds
 *     .silence()                    ends all notes
 *
 * Drums go to channel 10 where each voice has its own channel.
 */
"use strict";

async function midiPorts() {
  if (!navigator.requestMIDIAccess) throw new Error("this browser has no MIDI; Chrome and Edge do");
  const access = await navigator.requestMIDIAccess();
  return [...access.outputs.values()];
}

class MidiOut {
  constructor(port, channel) {
    Object.assign(this, { port, channel });
    this.held = []; // notes that have not been ended
  }

  channelOf({ drum, voice = 0 }) {
    if (this.channel) return this.channel - 1;
    return drum === null ? voice : 9;
  }

  play(note, delay, seconds) {
    const channel = this.channelOf(note);
    const on = performance.now() + 1000 * delay;
    for (const other of this.held) {
      if (other.channel === channel && other.pitch === note.pitch) other.off = Math.min(other.off, on);
    }
    this.sendDue(delay);
    this.port.send([0x90 | channel, note.pitch, note.velocity], on);
    this.held.push({ channel, pitch: note.pitch, off: on + 1000 * seconds });
  }

  sendDue(ahead) {
    const horizon = performance.now() + 1000 * ahead;
    for (const { channel, pitch, off } of this.held) {
      if (off <= horizon) this.port.send([0x80 | channel, pitch, 0], off);
    }
    this.held = this.held.filter(({ off }) => off > horizon);
  }

  silence() {
    for (const { channel, pitch } of this.held) this.port.send([0x80 | channel, pitch, 0]);
    this.held = [];
    for (let channel = 0; channel < 16; channel++) this.port.send([0xb0 | channel, 123, 0]);
  }
}
