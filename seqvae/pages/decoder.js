/*
 * The decoder: a code -> tokens, step by step. Needs tensors.js, lstm.js, step_vectors.js, heads.js
 * and noise.js.
 *
 *   new Decoder(tensors, config, steps)
 *     .decode(z, { temperature, seed, conditions })    a generator of arrays of tokens
 *
 * At temperature 0 the most probable token is taken. Else a token is the arg max of its logit by
 * the temperature plus Gumbel noise from the seed: what Python draws with the same seed.
 */
"use strict";

class Decoder {
  constructor(tensors, config, steps) {
    Object.assign(this, { config, steps });
    const wiring = config.z_wiring;
    this.segmentLength = config.decoder === "flat" ? steps.max_steps : config.segment_length;
    this.numSegments = Math.ceil(steps.max_steps / this.segmentLength);
    this.conductor = config.decoder === "hierarchical" ? new BothWays(tensors, "conductor") : null;
    this.conductors = config.decoder === "musicvae"
      ? Array.from({ length: config.conductor_layers }, (_, i) =>
        new LstmLayer(tensors, `conductor.${i}`)) : [];
    this.conductorState = this.conductors.length ? new Linear(tensors, "conductor_state") : null;
    this.layers = Array.from({ length: config.decoder_layers }, (_, i) =>
      new LstmLayer(tensors, `layers.${i}`));
    this.embedding = stepVectors(tensors, "embedding", steps);
    this.conditions = steps.condition_sizes.length
      ? new TokenVectors(tensors, "conditions") : null;
    this.start = tensors.get("start").data;
    this.initialState = wiring.includes("state") ? new Linear(tensors, "initial_state") : null;
    this.skip = wiring.includes("output") ? new Linear(tensors, "skip") : null;
    this.project = tensors.has("project.weight") ? new Linear(tensors, "project") : null;
    this.isBesideInput = wiring.includes("input");
    this.heads = steps.slot_size ? new NoteHeads(tensors, steps) : new ChannelHeads(tensors);
  }

  /** The code of each segment. */
  codes(z) {
    if (this.conductorState) return this.conducted(z);
    if (!this.conductor) return [z];
    const size = z.length / this.numSegments;
    return this.conductor.read(Array.from({ length: this.numSegments }, (_, i) =>
      z.slice(i * size, (i + 1) * size)));
  }

  /** The outputs of a conductor that begins from z and reads nothing. */
  conducted(z) {
    const states = firstStates(this.conductors, this.conductorState, z);
    return Array.from({ length: this.numSegments }, () =>
      this.conductors.reduce((x, layer, i) => layer.step(layer.gates(x), states[i]),
        new Float32Array(1)).slice());
  }

  /** The state before the first step of a segment; notes sound on between segments. */
  begin(code, sounding) {
    const states = firstStates(this.layers, this.initialState, code);
    const fromCode = this.layers[0].bias.slice();
    if (this.isBesideInput) addProduct(fromCode, this.layers[0].input, code, this.start.length);
    return { states, fromCode, sounding, skip: this.skip ? this.skip.apply(code) : null };
  }

  /** What the heads read, after the tokens of the step before; null before the first step. */
  features(tokens, conditions, state) {
    const x = tokens ? this.embedding.vector(tokens, state.sounding) : this.start.slice();
    if (this.conditions) add(x, this.conditions.vector(conditions));
    const gates = state.fromCode.slice();
    addProduct(gates, this.layers[0].input, x);
    let output = this.layers[0].step(gates, state.states[0]);
    for (let i = 1; i < this.layers.length; i++) {
      output = this.layers[i].step(this.layers[i].gates(output), state.states[i]);
    }
    const features = this.project ? this.project.apply(output) : output.slice();
    return state.skip ? add(features, state.skip) : features;
  }

  *decode(z, { temperature = 0, seed = 0, conditions = null } = {}) {
    const { max_steps: numSteps, eos_id: endToken, condition_sizes: sizes } = this.steps;
    const noise = temperature > 0 ? new GumbelNoise(rowSeed(seed)) : null;
    const codes = this.codes(z);
    const none = sizes.map(() => 0);
    let [tokens, state] = [null, null];
    for (let step = 0; step < numSteps; step++) {
      if (step % this.segmentLength === 0) {
        const sounding = state ? state.sounding : this.embedding.silence();
        state = this.begin(codes[step / this.segmentLength], sounding);
      }
      const features = this.features(tokens, conditions ? conditions[step] : none, state);
      tokens = this.heads.draw(features, (logits, channel) => {
        if (noise) {
          scale(logits, temperature);
          noise.add(logits, step, channel);
        }
        return argMax(logits);
      }, !noise);
      yield tokens;
      if (endToken !== null && tokens[0] === endToken) return;
    }
  }
}

/** The states of layers: zeros, or what a code is projected to. */
function firstStates(layers, linear, code) {
  const states = layers.map((layer) => layer.start());
  if (!linear) return states;
  const values = linear.apply(code).map(Math.tanh);
  const { size } = layers[0];
  states.forEach(({ hidden, cell }, i) => {
    hidden.set(values.subarray(i * size, (i + 1) * size));
    cell.set(values.subarray((layers.length + i) * size, (layers.length + i + 1) * size));
  });
  return states;
}

/** Logits below their largest, divided by the temperature. */
function scale(logits, temperature) {
  const most = logits[argMax(logits)];
  for (let i = 0; i < logits.length; i++) logits[i] = Math.fround(logits[i] - most) / temperature;
}

function argMax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
