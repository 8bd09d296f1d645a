/*
 * Chords of notes, as Python finds them. Needs nothing else.
 *
 *   suggestedChord(notes, begin, end)    the chord that fits what sounds between two steps, or 0
 *   movedChord(chord, semitones)         transposed
 *   spread(chords, numSteps)             the chord of each step: all take equally many
 *
 * A chord is 1 + 12 * quality + root, with the qualities major, minor, augmented, diminished and
 * suspended; 0 is none.
 */
"use strict";

const QUALITIES = [[0, 4, 7], [0, 3, 7], [0, 4, 8], [0, 3, 6], [0, 5, 7]];
const MIN_FIT = 0.6; // of the sounding time must belong to notes of the chord

/** The best fit; of equal ones a whole triad, then one on the lowest note, then the plainest. */
function suggestedChord(notes, begin, end) {
  const sounding = notes.filter((note) => note.drum === null && note.start < end
    && note.start + note.length > begin);
  if (!sounding.length) return 0;
  const profile = new Array(12).fill(0);
  for (const { start, length, pitch } of sounding) {
    profile[pitch % 12] += Math.min(start + length, end) - Math.max(start, begin);
  }
  const total = profile.reduce((sum, steps) => sum + steps);
  const bass = sounding.reduce((low, { pitch }) => Math.min(low, pitch), 127) % 12;
  let best = null;
  QUALITIES.forEach((tones, quality) => {
    for (let root = 0; root < 12; root++) {
      const times = tones.map((tone) => profile[(root + tone) % 12]);
      const fit = times.reduce((sum, steps) => sum + steps) / total;
      const ranks = [Math.round(fit * 1e9), times.every((steps) => steps > 0), root === bass,
        -quality].map(Number);
      const chord = 1 + 12 * quality + root;
      if (!best || !isBelow(ranks, best.ranks)) best = { chord, ranks, fit };
    }
  });
  return best.fit >= MIN_FIT ? best.chord : 0;
}

/** Whether the first of the ranks that differ is smaller. */
function isBelow(ranks, others) {
  const place = ranks.findIndex((rank, i) => rank !== others[i]);
  return place >= 0 && ranks[place] < others[place];
}

function movedChord(chord, semitones) {
  if (!chord) return 0;
  const root = (chord - 1) % 12;
  return chord - root + ((root + semitones) % 12 + 12) % 12;
}

function spread(chords, numSteps) {
  return Array.from({ length: numSteps }, (_, step) =>
    chords[Math.floor(step * chords.length / numSteps)] ?? 0);
}
