/*
 * Sound, made with Web Audio alone. Needs nothing else; clip.js describes a clip and a note.
 *
 *   new Synth()                                 instruments for all notes
 *     .bus()                                    a node that clips play into
 *     .play(note, bus, time, seconds)           schedules a note; returns its sources
 *   new Player()                                plays one clip at a time
 *     .toggle(view)                             plays the clip of a view, or stops it
 *     .toggleAll(views)                         plays clips in turn, or stops
 *     .stop()
 *
 * A view is { clip, onStart(), onMove(steps), onEnd() }; onMove is called once a frame.
 *
 * A tone is an oscillator with the partials of its instrument family, through a low-pass filter
 * and an envelope. A drum is a falling sine, a burst of filtered noise, or both.
 */
"use strict";

/**
 * Amplitudes of the partials; attack, decay and release in seconds; sustain as a fraction of the
 * peak; brightness, the cutoff of the filter in multiples of the frequency; detune in cents.
 */
const FAMILIES = {
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

/** The family of each group of eight General MIDI programs. */
const PROGRAM_GROUPS = ["piano", "mallet", "organ", "plucked", "bass", "strings", "strings", "lead",
  "lead", "lead", "lead", "strings", "strings", "plucked", "mallet", "lead"];

/** Layers of each drum: from, to in Hz for a sine; all times in seconds. */
const KIT = {
  "kick": [
    { from: 165, to: 48, seconds: 0.42, gain: 0.85 },
    { filter: "lowpass", frequency: 2500, seconds: 0.012, gain: 0.25 },
  ],
  "snare": [
    { from: 235, to: 175, seconds: 0.12, gain: 0.35 },
    { filter: "highpass", frequency: 1500, seconds: 0.22, gain: 0.36 },
  ],
  "closed hi-hat": [{ filter: "highpass", frequency: 8000, seconds: 0.06, gain: 0.3 }],
  "open hi-hat": [{ filter: "highpass", frequency: 7000, seconds: 0.4, gain: 0.28 }],
  "low tom": [{ from: 125, to: 78, seconds: 0.34, gain: 0.65 }],
  "mid tom": [{ from: 175, to: 112, seconds: 0.3, gain: 0.6 }],
  "high tom": [{ from: 235, to: 155, seconds: 0.26, gain: 0.55 }],
  "crash": [{ filter: "highpass", frequency: 4500, seconds: 1.4, gain: 0.35 }],
  "ride": [
    { filter: "bandpass", frequency: 8500, seconds: 0.55, gain: 0.3 },
    { from: 4150, to: 4100, seconds: 0.2, gain: 0.025 },
  ],
  "other percussion": [{ filter: "bandpass", frequency: 3000, seconds: 0.05, gain: 0.4 }],
};
const FALL_SECONDS = 0.09; // that a sine takes from its first frequency to its last

class Synth {
  constructor(context = new AudioContext()) {
    this.context = context;
    this.output = new DynamicsCompressorNode(context, { threshold: -16, ratio: 5 });
    this.output.connect(context.destination);
    this.noise = this.noiseBuffer(2, () => 1);
    const echoes = this.noiseBuffer(1.1, (seconds) => Math.exp(-5 * seconds));
    this.reverb = new ConvolverNode(context, { buffer: echoes });
    this.reverb.connect(new GainNode(context, { gain: 0.1 })).connect(this.output);
    this.waves = Object.fromEntries(Object.entries(FAMILIES).map(([name, { partials }]) =>
      [name, new PeriodicWave(context, { imag: [0, ...partials] })]));
  }

  /** White noise under an envelope, which is a function of time in seconds. */
  noiseBuffer(seconds, envelope) {
    const { sampleRate } = this.context;
    const buffer = this.context.createBuffer(1, Math.ceil(seconds * sampleRate), sampleRate);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) {
      samples[i] = (2 * Math.random() - 1) * envelope(i / sampleRate);
    }
    return buffer;
  }

  /** A node for the notes of one clip, so that they can be silenced together. */
  bus() {
    const bus = new GainNode(this.context);
    bus.connect(this.output);
    bus.connect(this.reverb);
    return bus;
  }

  /** Schedules a note at a time of the audio context, in seconds. */
  play(note, bus, time, seconds) {
    const level = (note.velocity / 127) ** 1.5;
    return note.drum === null ? this.tone(note, bus, time, seconds, level)
      : this.drum(note.drum, bus, time, level);
  }

  tone({ program, pitch }, bus, time, seconds, level) {
    const name = PROGRAM_GROUPS[program >> 3];
    const { attack, decay, sustain, release, brightness, detune } = FAMILIES[name];
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const end = time + Math.max(seconds, 0.06);

    const peak = (detune ? 0.2 : 0.3) * level; // two detuned oscillators are louder than one
    const envelope = new GainNode(this.context, { gain: 0 });
    envelope.gain.setValueAtTime(0, time);
    envelope.gain.linearRampToValueAtTime(peak, time + attack);
    envelope.gain.setTargetAtTime(peak * sustain, time + attack, decay / 2);
    envelope.gain.setTargetAtTime(0, end, release / 3);

    const cutoff = Math.min(frequency * brightness * (0.5 + level), 16000);
    const filter = new BiquadFilterNode(this.context, { type: "lowpass", Q: 0.4 });
    filter.frequency.setValueAtTime(cutoff, time);
    filter.frequency.setTargetAtTime(Math.max(cutoff / 3, frequency), time, decay);
    filter.connect(envelope).connect(bus);

    return (detune ? [-detune, detune] : [0]).map((cents) => {
      const source = this.context.createOscillator();
      source.setPeriodicWave(this.waves[name]);
      source.frequency.value = frequency;
      source.detune.value = cents;
      source.connect(filter);
      return playBetween(source, time, end + 2 * release);
    });
  }

  drum(name, bus, time, level) {
    return (KIT[name] ?? KIT["other percussion"]).map((layer) => {
      const gain = this.decay(time, layer.seconds, layer.gain * level);
      gain.connect(bus);
      const source = layer.filter ? this.noiseBurst(layer, gain)
        : this.fallingSine(layer, gain, time);
      return playBetween(source, time, time + layer.seconds);
    });
  }

  fallingSine({ from, to }, output, time) {
    const source = this.context.createOscillator();
    source.frequency.setValueAtTime(from, time);
    source.frequency.exponentialRampToValueAtTime(to, time + FALL_SECONDS);
    source.connect(output);
    return source;
  }

  noiseBurst({ filter, frequency }, output) {
    const source = this.context.createBufferSource();
    source.buffer = this.noise;
    source.connect(new BiquadFilterNode(this.context, { type: filter, frequency, Q: 0.7 }))
      .connect(output);
    return source;
  }

  /** A gain that falls from a level to almost nothing. */
  decay(time, seconds, level) {
    const node = new GainNode(this.context, { gain: 0 });
    node.gain.setValueAtTime(level, time);
    node.gain.exponentialRampToValueAtTime(Math.max(0.003 * level, 1e-5), time + seconds);
    return node;
  }
}

function playBetween(source, start, end) {
  source.start(start);
  source.stop(end);
  return source;
}

const SCHEDULE_SECONDS = 1.3; // scheduled ahead: the timers of a hidden tab run once a second
const SCHEDULE_INTERVAL = 100; // milliseconds
const LEAD_IN = 0.1; // seconds before the first note

class Player {
  synth = null; // made at the first click: browsers allow no sound before it
  view = null; // that plays now

  toggle(view) {
    const isPlaying = this.view === view;
    this.stop();
    if (!isPlaying) this.play([view]);
  }

  toggleAll(views) {
    if (this.view) this.stop();
    else this.play(views);
  }

  play([view, ...later]) {
    this.synth ??= new Synth();
    const { context } = this.synth;
    context.resume();
    Object.assign(this, {
      view, later, bus: this.synth.bus(), sources: new Set(), numScheduled: 0,
      begin: context.currentTime + LEAD_IN,
    });
    this.timer = setInterval(() => this.schedule(), SCHEDULE_INTERVAL);
    this.schedule();
    view.onStart();
    this.frame = requestAnimationFrame(() => this.follow());
  }

  get stepSeconds() {
    const { qpm, stepsPerQuarter } = this.view.clip;
    return 60 / qpm / stepsPerQuarter;
  }

  schedule() {
    const { notes, numSteps } = this.view.clip;
    const { stepSeconds } = this;
    const now = this.synth.context.currentTime;
    for (; this.numScheduled < notes.length; this.numScheduled++) {
      const note = notes[this.numScheduled];
      const time = this.begin + note.start * stepSeconds;
      if (time > now + SCHEDULE_SECONDS) break;
      this.sound(note, Math.max(time, now), note.length * stepSeconds);
    }
    if (now < this.begin + numSteps * stepSeconds) return;
    this.finish();
    if (this.later.length) this.play(this.later);
  }

  sound(note, time, seconds) {
    const { sources } = this;
    for (const source of this.synth.play(note, this.bus, time, seconds)) {
      sources.add(source);
      source.onended = () => sources.delete(source);
    }
  }

  follow() {
    const steps = (this.synth.context.currentTime - this.begin) / this.stepSeconds;
    this.view.onMove(Math.min(Math.max(steps, 0), this.view.clip.numSteps));
    this.frame = requestAnimationFrame(() => this.follow());
  }

  /** Ends a clip; its last notes may still ring. */
  finish() {
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.view?.onEnd();
    this.view = null;
  }

  stop() {
    if (!this.bus) return;
    this.finish();
    const now = this.synth.context.currentTime;
    this.bus.gain.setTargetAtTime(0, now, 0.015);
    for (const source of this.sources) source.stop(now + 0.1);
    this.bus = null;
  }
}
