/*
 * The encoder: tokens -> the mean of q(z|x). Needs tensors.js, lstm.js and step_vectors.js.
 *
 *   new Encoder(tensors, config, steps)
 *     .mean(ids)      a Float32Array; ids are one array of tokens a step, conditions last
 */
"use strict";

const POOLINGS = {
  last: (states) => {
    const half = states[0].length / 2;
    return joined(states[states.length - 1].subarray(0, half), states[0].subarray(half));
  },
  mean: (states) => {
    const sum = new Float32Array(states[0].length);
    states.forEach((state) => add(sum, state));
    return sum.map((value) => value / states.length);
  },
  max: (states) => states[0].map((_, i) => Math.max(...states.map((state) => state[i]))),
};

class Encoder {
  constructor(tensors, config, steps) {
    this.pool = POOLINGS[config.encoder_pooling];
    this.segmentLength = config.decoder === "flat" ? null : config.segment_length;
    this.hasSlices = config.decoder === "hierarchical";
    this.numSegments = Math.ceil(steps.max_steps / config.segment_length);
    this.numChannels = steps.vocab_sizes.length;
    this.vectors = stepVectors(tensors, "encoder.embedding", steps);
    this.conditions = steps.slot_size && steps.condition_sizes.length
      ? new TokenVectors(tensors, "encoder.conditions") : null;
    this.reader = new BothWays(tensors, "encoder.reader");
    this.overview = this.segmentLength ? new BothWays(tensors, "encoder.overview") : null;
    this.posterior = new Linear(tensors, "encoder.mean");
    this.centre = tensors.has("encoder.centre") ? tensors.get("encoder.centre").data : null;
    this.scale = this.centre && tensors.get("encoder.variance").data.map((variance) =>
      config.bn_gamma / Math.sqrt(variance + 1e-8));
  }

  mean(ids) {
    const inputs = this.embed(ids);
    const mean = this.segmentLength ? this.ofSegments(inputs)
      : this.posterior.apply(this.pool(this.reader.read(inputs)));
    if (!this.centre) return mean;
    return mean.map((value, i) => this.scale[i] * (value - this.centre[i]));
  }

  embed(ids) {
    const sounding = this.vectors.silence();
    return ids.map((tokens) => {
      if (!this.conditions) return this.vectors.vector(tokens, sounding);
      const vector = this.vectors.vector(tokens.slice(0, this.numChannels), sounding);
      return add(vector, this.conditions.vector(tokens.slice(this.numChannels)));
    });
  }

  /** Each segment gives its slice of z, from its own states and its place among the others; or
   *  the last states of their sequence give all of z. */
  ofSegments(inputs) {
    const length = this.segmentLength;
    const silence = new Float32Array(inputs[0].length);
    const segments = Array.from({ length: this.numSegments }, (_, segment) =>
      this.pool(this.reader.read(Array.from({ length }, (_, step) =>
        inputs[segment * length + step] ?? silence))));
    const context = this.overview.read(segments);
    if (!this.hasSlices) return this.posterior.apply(POOLINGS.last(context));
    return joined(...segments.map((states, i) =>
      this.posterior.apply(joined(states, context[i]))));
  }
}

function stepVectors(tensors, name, steps) {
  return steps.slot_size ? new NoteVectors(tensors, name, steps.slot_size)
    : new TokenVectors(tensors, name);
}
