/*
 * Plays notes in a loop while they change. Needs synth.js; midi_out.js where notes go to MIDI.
 *
 *   new Looper({ numSteps, stepsPerQuarter, stepsPerBar }, { onMove, onStop, onTurn })
 *     .setNotes(notes)      from the next step on these are heard
 *     .setGrid(grid)        the loop has another length from now on
 *     .start() .stop()
 *     .preview(note)        sounds it, unless the loop plays
 *     .qpm .isLooping .hasMetronome .output    may change at any time
 *
 * onMove(steps) is called once a frame, onTurn() where the loop begins again. An output of null is
 * the page's own sound.
 */
"use strict";

const AHEAD = 0.1; // seconds that are scheduled ahead: a change is heard so much later
const AHEAD_HIDDEN = 1.3; // the timers of a hidden tab run once a second
const TICK = 25; // milliseconds
const PREVIEW = 4; // steps for which a note is heard by itself, at most
const CLICK = { program: 115, drum: null, velocity: 90 }; // of the metronome: a wood block
const CLICK_PITCHES = { bar: 88, beat: 81 };

class Looper {
  constructor(grid, { onMove, onStop, onTurn = () => {} }) {
    Object.assign(this, grid, { onMove, onStop, onTurn });
    Object.assign(this, { qpm: 120, isLooping: true, hasMetronome: false, output: null });
    this.synth = null; // made at the first start: browsers allow no sound before a click
    this.voices = new Set(); // notes that sound, or will
    this.setNotes([]);
  }

  get isPlaying() { return Boolean(this.timer); }

  get stepSeconds() { return 60 / this.qpm / this.stepsPerQuarter; }

  setNotes(notes) {
    this.notes = notes;
    this.begins = Array.from({ length: this.numSteps }, () => []);
    for (const note of notes) this.begins[Math.max(Math.floor(note.start + 0.5), 0)]?.push(note);
    this.isChanged = true;
  }

  setGrid(grid) {
    Object.assign(this, grid);
    this.step = Math.min(this.step ?? 0, this.numSteps);
  }

  start() {
    this.wake();
    this.step = 0;
    this.time = this.synth.context.currentTime + 0.05;
    this.passed = []; // steps that were scheduled, with their times
    this.isChanged = false;
    this.timer = setInterval(() => this.schedule(), TICK);
    this.schedule();
    this.follow();
  }

  wake() {
    this.synth ??= new Synth();
    this.synth.context.resume();
  }

  preview(note) {
    if (this.isPlaying) return;
    this.wake();
    this.strike(note, this.synth.context.currentTime + 0.02, Math.min(note.length, PREVIEW));
  }

  stop() {
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.timer = null;
    for (const voice of this.voices) this.release(voice, this.synth.context.currentTime);
    this.output?.silence();
    this.onStop();
  }

  schedule() {
    const now = this.synth.context.currentTime;
    if (this.time < now) this.time = now; // the timer was late
    const horizon = now + (document.hidden ? AHEAD_HIDDEN : AHEAD);
    while (this.time < horizon) {
      if (this.step === this.numSteps) {
        if (!this.isLooping) {
          if (now >= this.time - TICK / 1000) this.stop();
          return;
        }
        this.step = 0;
        this.onTurn();
      }
      this.playStep(this.step, this.time);
      this.passed.push({ step: this.step, time: this.time, seconds: this.stepSeconds });
      this.time += this.stepSeconds;
      this.step += 1;
    }
    this.output?.sendDue(horizon - now);
  }

  playStep(step, time) {
    for (const voice of this.voices) if (voice.end <= time) this.voices.delete(voice);
    if (this.isChanged) this.change(step, time);
    for (const note of this.begins[step]) {
      const late = (note.start - step) * this.stepSeconds;
      this.strike(note, Math.max(time + late, this.synth.context.currentTime), note.length);
    }
    if (!this.hasMetronome || step % this.stepsPerQuarter) return;
    const pitch = CLICK_PITCHES[step % this.stepsPerBar ? "beat" : "bar"];
    this.synth.play({ ...CLICK, pitch }, this.synth.bus(), time, 0.05);
  }

  /** What sounds at a step and should not is let go; what should and does not is struck. */
  change(step, time) {
    this.isChanged = false;
    const held = this.notes.filter((note) => note.drum === null && note.start < step - 0.5
      && note.start + note.length > step + 0.5);
    const wanted = new Set(held.map(soundOf));
    const sounding = new Set();
    for (const voice of this.voices) {
      if (voice.note.drum === null && !wanted.has(soundOf(voice.note))) this.release(voice, time);
      else sounding.add(soundOf(voice.note));
    }
    for (const note of held) {
      if (!sounding.has(soundOf(note))) this.strike(note, time, note.start + note.length - step);
    }
  }

  strike(note, time, steps) {
    const seconds = steps * this.stepSeconds;
    if (this.output) {
      this.output.play(note, time - this.synth.context.currentTime, seconds);
      return;
    }
    const bus = this.synth.bus();
    const sources = this.synth.play(note, bus, time, seconds);
    sources[0].onended = () => bus.disconnect();
    this.voices.add({ note, bus, sources, end: time + seconds });
  }

  release(voice, time) {
    this.voices.delete(voice);
    voice.bus.gain.setTargetAtTime(0, time, 0.015);
    for (const source of voice.sources) source.stop(time + 0.1);
  }

  follow() {
    const now = this.synth.context.currentTime;
    while (this.passed.length > 1 && this.passed[1].time <= now) this.passed.shift();
    const [{ step, time, seconds }] = this.passed;
    this.onMove(step + Math.min(Math.max((now - time) / seconds, 0), 1));
    this.frame = requestAnimationFrame(() => this.follow());
  }
}

function soundOf({ pitch, program, drum }) { return `${drum ?? program} ${pitch}`; }
