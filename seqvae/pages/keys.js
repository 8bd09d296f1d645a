/*
 * Keys: which one notes suggest, and how far they are from C major or A minor. Needs nothing else.
 *
 *   toCommonKey(notes, { low, high })    semitones, from -6 to 5, that keep all pitches in a range
 */
"use strict";

// How often each degree of a key occurs, from the tonic up (Albrecht & Shanahan 2013).
const MODES = [
  [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081],
  [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052],
];

function toCommonKey(notes, { low, high }) {
  const pitched = notes.filter(({ drum }) => drum === null);
  if (!pitched.length) return 0;
  const tonic = relativeMajor(pitched);
  const nearest = tonic === null ? 0 : ((-tonic + 6) % 12 + 12) % 12 - 6;
  const pitches = pitched.map(({ pitch }) => pitch);
  const [least, most] = [pitches.reduce((a, b) => Math.min(a, b)),
    pitches.reduce((a, b) => Math.max(a, b))];
  const fits = [nearest, nearest + (nearest > 0 ? -12 : 12), 0].filter((way) =>
    least + way >= low && most + way <= high);
  return fits.length ? fits[0] : nearest;
}

/** The tonic of the key that fits best, or of its relative major; null where nothing says one. */
function relativeMajor(notes) {
  const time = new Array(12).fill(0);
  for (const { pitch, length } of notes) time[pitch % 12] += length;
  const weights = time.map(Math.sqrt);
  if (weights.every((weight) => weight === weights[0])) return null;
  let [best, found] = [-Infinity, null];
  MODES.forEach((mode, isMinor) => {
    const mean = mode.reduce((a, b) => a + b) / 12;
    const norm = Math.sqrt(mode.reduce((sum, x) => sum + (x - mean) ** 2, 0));
    for (let tonic = 0; tonic < 12; tonic++) {
      const fit = weights.reduce((sum, weight, pitch) =>
        sum + weight * (mode[(pitch - tonic + 12) % 12] - mean) / norm, 0);
      if (fit > best) [best, found] = [fit, (tonic + 3 * isMinor) % 12];
    }
  });
  return found;
}
