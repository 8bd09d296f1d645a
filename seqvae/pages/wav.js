/*
 * Clips as WAV files, played by the synth faster than they sound. Needs synth.js.
 *
 *   wavFile(clip)    a promise of the bytes of a stereo file of 16 bits
 */
"use strict";

const SAMPLE_RATE = 44100;
const RING = 1.5; // seconds that the last notes ring on

async function wavFile(clip) {
  const stepSeconds = 60 / clip.qpm / clip.stepsPerQuarter;
  const numSamples = Math.ceil((clip.numSteps * stepSeconds + RING) * SAMPLE_RATE);
  const context = new OfflineAudioContext(2, numSamples, SAMPLE_RATE);
  const synth = new Synth(context);
  const bus = synth.bus();
  for (const note of clip.notes) {
    synth.play(note, bus, Math.max(note.start, 0) * stepSeconds, note.length * stepSeconds);
  }
  return wavBytes(await context.startRendering());
}

function wavBytes(buffer) {
  const channels = [0, 1].map((channel) => buffer.getChannelData(channel));
  const size = 4 * buffer.length;
  const view = new DataView(new ArrayBuffer(44 + size));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 2, true);
  view.setUint32(24, buffer.sampleRate, true);
  view.setUint32(28, 4 * buffer.sampleRate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, size, true);
  for (let i = 0; i < buffer.length; i++) {
    channels.forEach((samples, channel) => {
      const level = Math.min(Math.max(samples[i], -1), 1);
      view.setInt16(44 + 4 * i + 2 * channel, Math.round(32767 * level), true);
    });
  }
  return new Uint8Array(view.buffer);
}
