/*
 * Embeddings: the tokens of a step -> one vector. Needs tensors.js.
 *
 *   new TokenVectors(tensors, name)    the sum of a row of each channel's table
 *   new NoteVectors(tensors, name, slotSize)
 *     .vector(tokens, sounding)        of a step; the notes that go on to sound are brought up to it
 *     .silence()                       of a sequence that begins: nothing sounds
 *
 * Steps that hold sets of notes also tell which pitches go on to sound, and for how long.
 */
"use strict";

const LONGEST_TOLD = 16; // steps for which a note goes on to sound; longer ones are told as so many

class TokenVectors {
  constructor(tensors, name) {
    const count = tensors.count(name);
    this.tables = Array.from({ length: count }, (_, i) => tensors.get(`${name}.${i}.table`));
  }

  silence() { return null; }

  vector(tokens) {
    const sum = new Float32Array(this.tables[0].columns);
    this.tables.forEach((table, channel) => add(sum, rowOf(table, tokens[channel])));
    return sum;
  }
}

/** The vector of a note: relu(W (the sum of a row of each channel's table) + b). */
class NoteTables {
  constructor(tensors, name) {
    this.tokens = new TokenVectors(tensors, name);
    this.mix = new Linear(tensors, `${name}.mix`);
  }

  vector(note) { return relu(this.mix.apply(this.tokens.vector(note))); }
}

class NoteVectors {
  constructor(tensors, name, slotSize) {
    this.notes = new NoteTables(tensors, `${name}.notes`);
    this.sounding = tensors.get(`${name}.sounding`);
    this.slotSize = slotSize;
  }

  silence() { return new Int32Array(this.sounding.columns / 2); }

  vector(tokens, sounding) {
    const sum = new Float32Array(this.sounding.rows);
    for (let i = 0; i < sounding.length; i++) sounding[i] = Math.max(sounding[i] - 1, 0);
    for (const [pitch, duration, ...rest] of notesOf(tokens, this.slotSize)) {
      add(sum, this.notes.vector([pitch, duration, ...rest]));
      sounding[pitch] = Math.max(sounding[pitch], duration);
    }
    const planes = new Float32Array(2 * sounding.length);
    sounding.forEach((steps, pitch) => {
      planes[pitch] = steps > 0 ? 1 : 0;
      planes[sounding.length + pitch] = Math.min(steps, LONGEST_TOLD) / LONGEST_TOLD;
    });
    addProduct(sum, this.sounding, planes);
    return sum;
  }
}

/** The notes of a step: its slots before the first pitch 0. */
function notesOf(tokens, slotSize) {
  const notes = [];
  for (let i = 0; i < tokens.length && tokens[i]; i += slotSize) {
    notes.push(tokens.slice(i, i + slotSize));
  }
  return notes;
}

function relu(x) {
  for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0;
  return x;
}
