/*
 * What is heard, and the states that led to it. Needs nothing else; engine.js and looper.js make the
 * engine and the looper.
 *
 *   new Instrument(engine, { barSteps, onNotes, onState })
 *     .set(changes, { isFinal })    a new state; one that is not final cannot be undone to
 *     .undo()
 *     .state .notes .canUndo
 *
 * @typedef {Object} State
 * @property {Float32Array} z - the code
 * @property {?Note[]} clip - a clip of the user, which is heard as it is; null hears the code
 * @property {number} moved - semitones by which the clip was moved before it was encoded
 * @property {number[]} chords - which share the clip equally; none where the model knows no chords
 * @property {number} bar - which of the model's bars it has: `barSteps` says how long each is
 * @property {Object<string, number>} amounts - of each attribute, how far the code is moved along it
 * @property {number} temperature - how much chance there is in the notes
 * @property {number} seed - of that chance
 *
 * A state may have more, which is kept for the page. onNotes(notes) is called with every bar that
 * is decoded, onState(state) where a state is set.
 */
"use strict";

const MAX_PAST = 200;

class Instrument {
  constructor(engine, heard) {
    Object.assign(this, { engine }, heard);
    this.notes = [];
    this.bar = 0; // of the notes
    this.past = [];
    this.state = this.final = null;
  }

  get canUndo() { return this.past.length > 0; }

  set(changes, { isFinal = true } = {}) {
    this.state = { ...this.state, ...changes };
    if (isFinal) {
      if (this.final) this.past = [...this.past, this.final].slice(-MAX_PAST);
      this.final = this.state;
    }
    this.onState(this.state);
    this.hear();
  }

  undo() {
    if (!this.canUndo) return;
    this.state = this.final = this.past.pop();
    this.onState(this.state);
    this.hear();
  }

  /** A clip sounds as it is until it is moved or left to chance. */
  get isClip() {
    const { clip, amounts, temperature } = this.state;
    return clip !== null && !temperature && Object.values(amounts).every((amount) => !amount);
  }

  hear() {
    const { state } = this;
    const before = state.bar === this.bar ? this.notes : [];
    this.bar = state.bar;
    if (this.isClip) {
      this.hearNotes(state.clip);
      return;
    }
    const { z, amounts, temperature, seed, moved, chords, bar } = state;
    let numBars = 0;
    this.engine.play({ z, amounts, temperature, seed, moved, chords, bar }, ({ notes, isLast }) => {
      if (this.state !== state) return;
      numBars += 1;
      const later = before.filter(({ start }) => start >= numBars * this.barSteps[bar]);
      this.hearNotes(isLast ? notes : [...notes, ...later]);
    });
  }

  hearNotes(notes) {
    this.notes = notes;
    this.onNotes(notes);
  }
}
