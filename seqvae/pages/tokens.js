/*
 * Notes of a window <-> tokens, as the tokenizers of Python make them. Needs chords.js; clip.js
 * describes a note, which here has the number of its voice, too.
 *
 *   tokensFor(grid, number)    the representation of a kind, from the settings that Python writes,
 *                              for one of the model's bars
 *     .notes(ids)              the notes of a window, or of the first steps of one
 *     .ids(notes, chords)      the tokens of a window, one array a step, with its conditions
 *     .conditions(chords)      the conditions alone: the chord of each step, and which bar it is
 *     .program(voice)          what a new note of a voice is played by
 *     .voices                  names of the voices
 */
"use strict";

const NOTE_OFF = 1;
const FIRST_PITCH = 2;
const BASS_PROGRAM = 33; // electric bass, fingered
const DEFAULT_VELOCITY = 80;
const TAPPED = 3; // the open hi-hat, on which models of taps are played
const LOUDEST = 127;

function tokensFor(grid, number) {
  return new {
    melody: LineTokens, trio: TrioTokens, voices: LineTokens, drums: KitTokens,
    groove: GrooveTokens, polyphony: NoteSetTokens,
  }[grid.kind]({ ...grid, number, bar: grid.bars[number], metres: grid.metres[number] });
}

class Tokens {
  constructor(grid) {
    this.grid = grid;
    this.numSteps = grid.num_bars * grid.bar;
  }

  program() { return 0; }

  /** The rows of a window that sound: others fill up its bars. */
  sounding(ids) {
    const { bar, model_bar: modelBar } = this.grid;
    return ids.filter((_, step) => step % modelBar < bar);
  }

  get numModelSteps() { return this.grid.num_bars * this.grid.model_bar; }

  conditions(chords) {
    const { reads_chords: readsChords, bars, number } = this.grid;
    const which = bars.length > 1 ? [number] : [];
    return spread(chords, this.numModelSteps).map((chord) =>
      (readsChords ? [chord, ...which] : which));
  }

  /** Rows of silence fill up the bars. */
  ids(notes, chords = []) {
    const { bar, model_bar: modelBar } = this.grid;
    const rows = this.sequence(notes);
    return this.conditions(chords).map((conditions, step) => {
      const place = Math.floor(step / modelBar) * bar + step % modelBar;
      const row = step % modelBar < bar ? rows[place] : rows[0].map(() => 0);
      return [...row, ...conditions];
    });
  }

  rows(makeRow) {
    return Array.from({ length: this.numSteps }, (_, step) => makeRow(step));
  }

  // Of voices whose loudness is kept, its channels follow those of what is struck.

  /** The loudness of each step of a line, where it is kept. */
  velocities(rows, line) {
    const { num_velocity_bins: numBins } = this.grid;
    const channel = this.voices.length + line;
    return numBins ? rows.map((row) => velocityOf(row[channel], numBins)) : null;
  }

  /** Rows of lines, and of what is said of their loudness. */
  played(lines) {
    const loud = this.grid.num_velocity_bins ? lines.flatMap((line) => line.loudness) : [];
    return this.rows((step) => [...lines.map((line) => line.tokens), ...loud]
      .map((tokens) => tokens[step]));
  }
}

/** Lines of notes: a channel each; of a choir the lowest comes first. */
class LineTokens extends Tokens {
  get voices() {
    const count = this.grid.num_voices;
    return count === 1 ? ["melody"] : Array.from({ length: count }, (_, i) =>
      (i === 0 ? "lowest voice" : i === count - 1 ? "highest voice" : `voice ${i + 1}`));
  }

  notes(ids) {
    const rows = this.sounding(ids);
    return inOrder(this.voices.flatMap((_, voice) =>
      lineNotes(rows.map((row) => row[voice]), this.grid, { voice, program: 0 },
        this.velocities(rows, voice))));
  }

  sequence(notes) {
    const lines = this.voices.map((_, voice) =>
      lineEvents(notes.filter((note) => note.voice === voice), this.numSteps, this.grid,
        voice === 0 && this.voices.length > 1));
    return this.played(lines);
  }
}

class TrioTokens extends Tokens {
  voices = ["melody", "bass", "drums"];

  program(voice) { return voice === 1 ? BASS_PROGRAM : 0; }

  notes(ids) {
    const rows = this.sounding(ids);
    const lines = [0, 1].flatMap((voice) => lineNotes(rows.map((row) => row[voice]), this.grid,
      { voice, program: this.program(voice) }, this.velocities(rows, voice)));
    const kit = kitNotes(rows.map((row) => row[2]), this.grid, 2);
    const { num_velocity_bins: numBins } = this.grid;
    if (numBins) {
      for (const note of kit) note.velocity = velocityOf(rows[note.start][5 + note.class], numBins);
    }
    return inOrder([...lines, ...kit]);
  }

  sequence(notes) {
    const of = (voice) => notes.filter((note) => note.voice === voice);
    const [melody, bass] = [0, 1].map((voice) =>
      lineEvents(of(voice), this.numSteps, this.grid, voice === 1));
    return this.played([melody, bass, kitHits(of(2), this.numSteps, this.grid)]);
  }
}

class KitTokens extends Tokens {
  voices = ["drums"];

  notes(ids) {
    return inOrder(kitNotes(this.sounding(ids).map(([set]) => set), this.grid, 0));
  }

  sequence(notes) {
    const { tokens } = kitHits(notes, this.numSteps, this.grid);
    return this.rows((step) => [tokens[step]]);
  }
}

/** Drums with the loudness and the timing of each hit, in bins. */
class GrooveTokens extends KitTokens {
  notes(ids) {
    const { num_velocity_bins: numVelocities, num_offset_bins: numOffsets } = this.grid;
    const count = this.grid.classes.length;
    const rows = this.sounding(ids);
    return inOrder(kitNotes(rows.map(([set]) => set), this.grid, 0).map((note) => {
      const row = rows[note.start];
      const offset = row[1 + count + note.class];
      return {
        ...note,
        velocity: velocityOf(row[1 + note.class], numVelocities),
        start: note.start + (offset ? (offset - 0.5) / numOffsets - 0.5 : 0),
      };
    }));
  }

  sequence(notes) {
    const { num_velocity_bins: numVelocities, num_offset_bins: numOffsets } = this.grid;
    const count = this.grid.classes.length;
    const rows = this.rows(() => new Array(1 + 2 * count).fill(0));
    for (const note of notes.toSorted((a, b) => a.velocity - b.velocity)) {
      const step = Math.floor(note.start + 0.5);
      const which = classOf(note.pitch, this.grid);
      if (which < 0 || !rows[step]) continue;
      const bin = Math.floor((note.start - step + 0.5) * numOffsets);
      rows[step][0] |= 1 << which;
      rows[step][1 + which] = velocityToken(note.velocity, numVelocities);
      rows[step][1 + count + which] = 1 + Math.min(Math.max(bin, 0), numOffsets - 1);
    }
    return rows;
  }

  /** What the encoder reads: a model may not see velocity and timing, nor which drum. */
  seen(ids) {
    const { encoder_sees: view, classes: { length: count } } = this.grid;
    if (view === "performance") return ids;
    return ids.map((row) => {
      const visible = row.map((token, i) => (i > 0 && i <= 2 * count ? 0 : token));
      if (view === "hits") return visible;
      visible[0] = row[0] ? 1 << TAPPED : 0;
      if (view === "tapping") {
        const velocities = row.slice(1, 1 + count);
        const loudest = velocities.indexOf(Math.max(...velocities));
        visible[1 + TAPPED] = velocities[loudest];
        visible[1 + count + TAPPED] = row[1 + count + loudest];
      }
      return visible;
    });
  }
}

/** Any notes at once: of each step a set, from low to high. */
class NoteSetTokens extends Tokens {
  voices = ["notes"];

  notes(ids) {
    const { slot_size: size, num_velocity_bins: numBins, has_programs: hasPrograms } = this.grid;
    const rows = this.sounding(ids);
    const notes = rows.flatMap((row, start) => {
      const found = [];
      for (let i = 0; i < this.grid.max_notes * size && row[i]; i += size) {
        const program = hasPrograms ? row[i + size - 1] : 0;
        const isDrum = program === 128;
        found.push({
          start, length: Math.min(row[i + 1] + 1, rows.length - start), pitch: row[i] - 1,
          velocity: numBins ? velocityOf(row[i + 2] + 1, numBins) : DEFAULT_VELOCITY,
          program: isDrum ? 0 : program, voice: 0,
          drum: isDrum ? drumName(row[i] - 1, this.grid) : null,
        });
      }
      return found;
    });
    return withoutOverlaps(notes);
  }

  sequence(notes) {
    const { slot_size: size, num_velocity_bins: numBins, has_programs: hasPrograms } = this.grid;
    const rows = this.rows(() => new Array(this.grid.max_notes * size).fill(0));
    const byStep = this.rows(() => []);
    for (const note of withoutOverlaps(notes)) byStep[Math.floor(note.start + 0.5)]?.push(note);
    byStep.forEach((all, step) => {
      outer(all, this.grid.max_notes).forEach((note, slot) => {
        const tokens = [note.pitch + 1, Math.min(note.length, this.numSteps - step) - 1];
        if (numBins) tokens.push(velocityToken(note.velocity, numBins) - 1);
        if (hasPrograms) tokens.push(note.drum === null ? note.program : 128);
        tokens.forEach((token, i) => { rows[step][slot * size + i] = token; });
      });
    });
    return rows;
  }
}

// Loudness: 0 where nothing is struck, then degrees of equal width

/** The middle of a degree; a model may draw silence for a note: then the middle of the range. */
function velocityOf(token, numBins) {
  const width = LOUDEST / numBins;
  const degree = (token || 1 + Math.floor(numBins / 2)) - 1;
  return Math.ceil(1 + degree * width + (width - 1) / 2);
}

function velocityToken(velocity, numBins) {
  return 1 + Math.floor((velocity - 1) * numBins / LOUDEST);
}

// Lines: 0 goes on, 1 ends a note, from 2 on come the onsets of pitches

function lineNotes(events, { min_pitch: lowest }, { voice, program }, velocities) {
  const notes = [];
  events.forEach((event, start) => {
    if (event < FIRST_PITCH) return;
    const next = events.findIndex((other, step) => step > start && other > 0);
    const length = (next < 0 ? events.length : next) - start;
    const pitch = event - FIRST_PITCH + lowest;
    const velocity = velocities ? velocities[start] : DEFAULT_VELOCITY;
    notes.push({ start, length, pitch, velocity, program, drum: null, voice });
  });
  return notes;
}

/** Of notes struck together the highest counts, or the lowest of a bass; each ends the one before. */
function lineEvents(notes, numSteps, grid, isLow) {
  const { min_pitch: lowest, max_pitch: highest, num_velocity_bins: numBins } = grid;
  const tokens = new Array(numSteps).fill(0);
  const loudness = new Array(numSteps).fill(0);
  const line = [];
  for (const note of notes.toSorted((a, b) => a.start - b.start
      || (isLow ? a.pitch - b.pitch : b.pitch - a.pitch))) {
    if (!line.length || note.start > line[line.length - 1].start) line.push(note);
  }
  line.forEach((note, i) => {
    const next = i + 1 < line.length ? line[i + 1].start : Infinity;
    const end = Math.min(note.start + note.length, next);
    if (end < numSteps) tokens[end] = NOTE_OFF;
  });
  for (const { start, pitch, velocity } of line) {
    if (pitch < lowest || pitch > highest) throw new Error(`a note outside ${lowest}..${highest}`);
    if (start >= numSteps) continue;
    tokens[start] = pitch - lowest + FIRST_PITCH;
    loudness[start] = velocityToken(velocity, numBins);
  }
  return { tokens, loudness: [loudness] };
}

// Kits: bit i of a set is class i

function kitNotes(sets, grid, voice) {
  return sets.flatMap((set, start) => grid.classes.flatMap((drum, which) => (set >> which & 1
    ? [{ start, length: 1, pitch: grid.written[which], velocity: DEFAULT_VELOCITY, program: 0,
      drum, voice, class: which }] : [])));
}

/** The sets, and the loudness of each drum: of several hits of one at a step, the loudest counts. */
function kitHits(notes, numSteps, grid) {
  const tokens = new Array(numSteps).fill(0);
  const loudness = grid.classes.map(() => new Array(numSteps).fill(0));
  for (const { start, pitch, velocity } of notes) {
    const which = classOf(pitch, grid);
    const step = Math.floor(start + 0.5);
    if (which < 0 || step >= numSteps) continue;
    tokens[step] |= 1 << which;
    const token = velocityToken(velocity, grid.num_velocity_bins);
    loudness[which][step] = Math.max(loudness[which][step], token);
  }
  return { tokens, loudness };
}

function classOf(pitch, { class_of: classes }) { return classes[pitch]; }

function drumName(pitch, grid) {
  return grid.classes[classOf(pitch, grid)] ?? "other percussion";
}

// Sets of notes

/** At most so many notes of a step: of more, the lowest and the highest. */
function outer(notes, most) {
  const below = Math.floor(most / 2);
  return notes.filter((_, i) => i < below || notes.length - 1 - i < most - below);
}

/** A note ends where its pitch is struck again; of several struck at once the longest stays. */
function withoutOverlaps(notes) {
  const sound = ({ pitch, program, drum }) => pitch * 129 + (drum === null ? program : 128);
  const kept = [];
  const last = new Map();
  for (const note of notes.toSorted((a, b) => a.start - b.start || sound(a) - sound(b)
      || b.length - a.length)) {
    const before = last.get(sound(note));
    if (before && before.start === note.start) continue;
    if (before) before.length = Math.min(before.length, note.start - before.start);
    const copy = { ...note };
    last.set(sound(note), copy);
    kept.push(copy);
  }
  return kept;
}

function inOrder(notes) {
  return notes.sort((a, b) => a.start - b.start || a.pitch - b.pitch);
}
