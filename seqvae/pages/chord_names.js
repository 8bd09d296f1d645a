/*
 * Names of chords. Needs nothing else.
 *
 *   parseChords(text)      the chords of "C Am | F G"; throws where a name is none
 *   chordNames(chords)     the other way round; chords that share a clip are told as few as can be
 *
 * A chord is 1 + 12 * quality + root, with the qualities major, minor, augmented, diminished and
 * suspended; 0 is none. Sevenths, added notes and other bass notes do not count.
 */
"use strict";

const ROOT_NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const ROOTS = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const QUALITY_NAMES = ["", "m", "aug", "dim", "sus4"];
const QUALITY_SPELLINGS = [ // the first that matches counts
  [/^(m|min|mi|-)7?\(?[b-]5|^(half-?dim|hdim|dim|o|°|ø)/, 3], [/^(aug|\+)|^7?\(?[#+]5/, 2],
  [/sus2/, null], [/sus/, 4], [/^(maj|ma(?!j)|M|Δ|\^)/, 0], [/^(min|mi|m|-)/, 1], [/^/, 0],
];
const AFTER_LETTER = /^(maj?|min?|(half-?|h)?dim|aug|sus|add|no|alt|[mMoøΔ°^+#b(),/\-\dA-G:])*$/;
const EXAMPLES = "C, Am, F♯dim, Gsus4, D7, N for none";

function parseChords(text) {
  const names = text.replaceAll("♯", "#").replaceAll("♭", "b").split(/[\s,;|]+/)
    .filter((name) => name && !/^[-–>→]+$/.test(name));
  return names.map(parseChord);
}

function parseChord(name) {
  if (/^(n|n\.c\.|nc|x|none)$/i.test(name)) return 0;
  const [, letter, accidentals, kind] = /^([A-G])(#+|b*):?(.*)$/.exec(name) ?? [];
  if (!letter || !AFTER_LETTER.test(kind)) {
    throw new Error(`“${name}” is not a chord; write chords as ${EXAMPLES}`);
  }
  const steps = ROOTS[letter] + (accidentals[0] === "b" ? -1 : 1) * accidentals.length;
  const [, quality] = QUALITY_SPELLINGS.find(([spelling]) => spelling.test(kind));
  if (quality === null) return chordOf(steps + 7, 4); // C D G is G C D
  return chordOf(steps, quality);
}

function chordOf(root, quality) { return 1 + 12 * quality + (root % 12 + 12) % 12; }

function chordNames(chords) {
  return fewest(chords).map((chord) => (chord
    ? ROOT_NAMES[(chord - 1) % 12] + QUALITY_NAMES[Math.floor((chord - 1) / 12)] : "N")).join(" ");
}

/** The shortest list that spreads to the same steps. */
function fewest(chords) {
  for (let count = 1; count < chords.length; count++) {
    const size = chords.length / count;
    const isSame = Number.isInteger(size)
      && chords.every((chord, i) => chord === chords[Math.floor(i / size) * size]);
    if (isSame) return chords.filter((_, i) => i % size === 0);
  }
  return chords;
}
