"use strict";

// Sound. A tone is an oscillator with the partials of its family, through a filter and an envelope;
// a drum is a sine that falls in pitch, filtered noise, or both.

const FAMILIES = { // seconds but for the partials; sustain is a share, brightness a multiple of f
  piano: { partials: [1, 0.5, 0.28, 0.16, 0.09, 0.05, 0.03], attack: 0.004, decay: 0.9,
    sustain: 0.12, release: 0.18, brightness: 7 },
  mallet: { partials: [1, 0, 0, 0.35, 0, 0, 0.06], attack: 0.002, decay: 0.5, sustain: 0,
    release: 0.25, brightness: 10 },
  organ: { partials: [1, 0.7, 0.35, 0.4, 0.05, 0.12, 0.02, 0.14], attack: 0.012, decay: 0.1,
    sustain: 0.8, release: 0.07, brightness: 9 },
  plucked: { partials: [1, 0.7, 0.55, 0.35, 0.26, 0.18, 0.13, 0.09, 0.06], attack: 0.002,
    decay: 0.55, sustain: 0.05, release: 0.12, brightness: 5 },
  bass: { partials: [1, 0.55, 0.2, 0.1, 0.05], attack: 0.005, decay: 0.7, sustain: 0.3,
    release: 0.08, brightness: 5 },
  strings: { partials: [1, 0.6, 0.42, 0.3, 0.22, 0.16, 0.11, 0.08], attack: 0.07, decay: 0.3,
    sustain: 0.75, release: 0.3, brightness: 4.5, detune: 6 },
  lead: { partials: [1, 0.2, 0.5, 0.12, 0.28, 0.08, 0.16], attack: 0.02, decay: 0.25,
    sustain: 0.6, release: 0.1, brightness: 6 },
};
// Of the sixteen groups of eight General MIDI programs.
const GROUPS = ["piano", "mallet", "organ", "plucked", "bass", "strings", "strings", "lead",
  "lead", "lead", "lead", "strings", "strings", "plucked", "mallet", "lead"];

class Synth {
  constructor(context = new AudioContext()) {
    this.context = context;
    this.output = new DynamicsCompressorNode(this.context, { threshold: -16, ratio: 5 });
    this.output.connect(this.context.destination);
    this.noise = this.noiseBuffer(2, () => 1);
    this.room = new ConvolverNode(this.context, {
      buffer: this.noiseBuffer(1.1, (t) => Math.exp(-5 * t)),
    });
    this.room.connect(new GainNode(this.context, { gain: 0.1 })).connect(this.output);
    this.waves = Object.fromEntries(Object.entries(FAMILIES).map(([name, { partials }]) =>
      [name, new PeriodicWave(this.context, { imag: [0, ...partials] })]));
  }

  noiseBuffer(seconds, envelope) {
    const { sampleRate } = this.context;
    const buffer = this.context.createBuffer(1, Math.ceil(seconds * sampleRate), sampleRate);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) {
      samples[i] = (2 * Math.random() - 1) * envelope(i / sampleRate);
    }
    return buffer;
  }

  /** Where the notes of one clip meet, so that they can be silenced together. */
  bus() {
    const bus = new GainNode(this.context);
    bus.connect(this.output);
    bus.connect(this.room);
    return bus;
  }

  /** Start a note at a time of the context; gives the sources that sound. */
  start(note, bus, time, seconds) {
    const level = (note.velocity / 127) ** 1.5;
    return isDrum(note) ? this.drum(note.sound - data.grid.num_programs, bus, time, level)
      : this.tone(note, bus, time, seconds, level);
  }

  tone(note, bus, time, seconds, level) {
    const name = GROUPS[note.sound >> 3];
    const family = FAMILIES[name];
    const frequency = 440 * 2 ** ((note.pitch - 69) / 12);
    const off = time + Math.max(seconds, 0.06);
    const gain = new GainNode(this.context, { gain: 0 });
    const peak = (family.detune ? 0.2 : 0.3) * level;
    gain.gain.setValueAtTime(0, time);
    gain.gain.linearRampToValueAtTime(peak, time + family.attack);
    gain.gain.setTargetAtTime(peak * family.sustain, time + family.attack, family.decay / 2);
    gain.gain.setTargetAtTime(0, off, family.release / 3);
    const filter = new BiquadFilterNode(this.context, { type: "lowpass", Q: 0.4 });
    const open = Math.min(frequency * family.brightness * (0.5 + level), 16000);
    filter.frequency.setValueAtTime(open, time);
    filter.frequency.setTargetAtTime(Math.max(open / 3, frequency), time, family.decay);
    filter.connect(gain).connect(bus);
    return [-1, 1].slice(family.detune ? 0 : 1).map((side) => {
      const source = this.context.createOscillator();
      source.setPeriodicWave(this.waves[name]);
      source.frequency.value = frequency;
      source.detune.value = side * (family.detune ?? 0);
      source.connect(filter);
      return play(source, time, off + family.release * 2);
    });
  }

  drum(number, bus, time, level) {
    const sine = (...shape) => this.fallingSine(bus, time, ...shape);
    const noise = (...shape) => this.burst(bus, time, ...shape);
    const kit = [
      () => [sine(165, 48, 0.42, 0.85 * level), noise("lowpass", 2500, 0.012, 0.25 * level)],
      () => [sine(235, 175, 0.12, 0.35 * level), noise("highpass", 1500, 0.22, 0.36 * level)],
      () => [noise("highpass", 8000, 0.06, 0.3 * level)],
      () => [noise("highpass", 7000, 0.4, 0.28 * level)],
      () => [sine(125, 78, 0.34, 0.65 * level)],
      () => [sine(175, 112, 0.3, 0.6 * level)],
      () => [sine(235, 155, 0.26, 0.55 * level)],
      () => [noise("highpass", 4500, 1.4, 0.35 * level)],
      () => [noise("bandpass", 8500, 0.55, 0.3 * level), sine(4150, 4100, 0.2, 0.025 * level)],
      () => [noise("bandpass", 3000, 0.05, 0.4 * level)],
    ];
    return kit[number]();
  }

  /** A sine that falls from one frequency to another while it dies away. */
  fallingSine(bus, time, from, to, seconds, level) {
    const source = this.context.createOscillator();
    source.frequency.setValueAtTime(from, time);
    source.frequency.exponentialRampToValueAtTime(to, time + 0.09);
    source.connect(this.fading(time, seconds, level)).connect(bus);
    return play(source, time, time + seconds);
  }

  /** A burst of filtered noise that dies away. */
  burst(bus, time, type, frequency, seconds, level) {
    const source = this.context.createBufferSource();
    source.buffer = this.noise;
    source.connect(new BiquadFilterNode(this.context, { type, frequency, Q: 0.7 }))
      .connect(this.fading(time, seconds, level)).connect(bus);
    return play(source, time, time + seconds);
  }

  fading(time, seconds, level) {
    const gain = new GainNode(this.context, { gain: 0 });
    gain.gain.setValueAtTime(level, time);
    gain.gain.exponentialRampToValueAtTime(Math.max(0.003 * level, 1e-5), time + seconds);
    return gain;
  }
}

function play(source, from, until) {
  source.start(from);
  source.stop(until);
  return source;
}

const AHEAD = 1.3; // seconds that are scheduled ahead: a hidden tab is woken once a second
const LEAD_IN = 0.1;

/** Plays one clip at a time. `view` has the clip, its notes, `started`, `moved(steps)`, `ended`. */
const player = {
  synth: null, view: null,

  toggle(view) {
    const again = this.view === view;
    this.stop();
    if (!again) this.play([view]);
  },

  /** Play clips in turn; or, if something plays, stop. */
  toggleAll(views) {
    if (this.view) this.stop();
    else this.play(views);
  },

  play([view, ...later]) {
    this.synth ??= new Synth(); // browsers allow sound only after a gesture
    const { context } = this.synth;
    context.resume();
    Object.assign(this, { view, later, next: 0, bus: this.synth.bus(), sounding: new Set(),
      begin: context.currentTime + LEAD_IN });
    this.timer = setInterval(() => this.schedule(), 100);
    this.schedule();
    view.started();
    requestAnimationFrame(() => this.follow(view));
  },

  schedule() {
    const { clip, notes } = this.view;
    const step = secondsOfStep(clip);
    const now = this.synth.context.currentTime;
    for (; this.next < notes.length; this.next++) {
      const note = notes[this.next];
      const time = this.begin + note.start * step;
      if (time > now + AHEAD) break;
      for (const source of this.synth.start(note, this.bus, Math.max(time, now),
        note.length * step)) {
        this.sounding.add(source);
        source.onended = () => this.sounding.delete(source);
      }
    }
    if (now < this.begin + clip.steps * step) return;
    this.finish();
    if (this.later.length) this.play(this.later);
  },

  /** Move the playhead; where motion is unwelcome, from quarter to quarter. */
  follow(view) {
    if (this.view !== view) return;
    const steps = Math.max(0, this.synth.context.currentTime - this.begin)
      / secondsOfStep(view.clip);
    const quarter = data.grid.steps_per_quarter;
    view.moved(Math.min(calm.matches ? Math.floor(steps / quarter) * quarter : steps,
      view.clip.steps));
    requestAnimationFrame(() => this.follow(view));
  },

  /** At the end of a clip its last notes may ring. */
  finish() {
    clearInterval(this.timer);
    this.view?.ended();
    this.view = null;
  },

  stop() {
    if (!this.synth || !this.bus) return;
    this.finish();
    const now = this.synth.context.currentTime;
    this.bus.gain.setTargetAtTime(0, now, 0.015);
    for (const source of this.sounding) source.stop(now + 0.1);
    this.bus = null;
  },
};
