/*
 * Attributes, chance and variations. Needs controls.js and stage.js, or that of text.
 */
"use strict";

/** Of each attribute, what less and more of it sound like. */
const WORDS = {
  note_density: ["fewer notes", "more notes"], average_pitch: ["lower", "higher"],
  pitch_range: ["narrower", "wider"], average_interval: ["smaller steps", "larger leaps"],
  average_duration: ["shorter notes", "longer notes"],
  scale_membership: ["out of the scale", "in the scale"], minorness: ["more major", "more minor"],
  register: ["lower register", "higher register"],
  eighth_syncopation: ["on the beat", "off the beat"],
  sixteenth_syncopation: ["straight", "syncopated"], repetition: ["ever new", "repeating"],
  mean_velocity: ["softer", "louder"], swing: ["straight", "swung"],
  length: ["shorter", "longer"], word_length: ["shorter words", "longer words"],
  question: ["statements", "questions"], past_tense: ["present", "past"],
};
const wordsFor = (name) => WORDS[name] ?? [`less ${formatName(name)}`, `more ${formatName(name)}`];

const MAX_AMOUNT = 2;

const amountSliders = {};
const chance = sliderOf(["safe", "wild"], { min: 0, max: 1.5, step: 0.05 },
  (temperature, isFinal) => instrument.set({ temperature }, { isFinal }));
const distance = html("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: 0.3,
  "aria-label": "How far a variation goes" });

function shapeSection(...more) {
  const names = data.model.directions?.names ?? [];
  for (const name of names) {
    amountSliders[name] = sliderOf(wordsFor(name), { min: -MAX_AMOUNT, max: MAX_AMOUNT, step: 0.05 },
      (amount, isFinal) => instrument.set(
        { amounts: { ...instrument.state.amounts, [name]: amount } }, { isFinal }));
  }
  return html("section", { class: "shape", "aria-label": "Shaping" },
    html("h2", {}, "Shape it"),
    html("div", { class: "sliders" }, Object.values(amountSliders).map(({ element }) => element),
      chance.element),
    html("div", { class: "under" },
      actionButton("Vary", () => vary(Number(distance.value))),
      html("label", { class: "field" }, "a little", distance, "a lot"),
      html("label", { class: "field" }, "Take", seed)),
    ...more);
}

const seed = html("input", { type: "number", min: 0, max: 2 ** 31, step: 1, value: 0,
  title: "Another number is another throw of the dice. A safe clip has no dice: make it wilder first",
  onchange: () => instrument.set({ seed: Math.max(Math.floor(Number(seed.value) || 0), 0) }) });

function showShape({ temperature, seed: throwOfDice, amounts }) {
  chance.show(temperature);
  seed.value = throwOfDice;
  seed.disabled = !temperature;
  for (const [name, slider] of Object.entries(amountSliders)) slider.show(amounts[name] ?? 0);
}

const newSeed = () => Math.floor(Math.random() * 2 ** 31);

async function surprise() {
  const { z } = await engine.ask("draw", { seed: newSeed() });
  instrument.set({ z, ...AFRESH });
  sound();
}

async function vary(distance) {
  const { z } = await engine.ask("vary", { z: instrument.state.z, distance, seed: newSeed() });
  instrument.set({ z, clip: null });
  sound();
}
