/*
 * Heads: the features of a step -> its tokens. Needs tensors.js, step_vectors.js and nade.js.
 *
 *   new ChannelHeads(tensors)
 *   new NoteHeads(tensors, steps)
 *     .draw(features, draw, isGreedy)    an array of tokens; draw(logits, channel) chooses one
 *
 * The channels of a step are drawn in order, each given those before it. Where a step holds a set
 * of notes, note after note is drawn, from low to high, until pitch 0 ends the set.
 */
"use strict";

class ChannelHeads {
  constructor(tensors) {
    const count = tensors.count("heads.logits");
    const each = (size, make) => Array.from({ length: size }, (_, i) => make(i));
    this.logits = each(count, (i) => softmaxHead(tensors, `heads.logits.${i}`));
    this.mixers = each(count - 1, (i) => new Linear(tensors, `heads.mixers.${i}`));
    this.tables = each(count - 1, (i) => tensors.get(`heads.embeddings.${i}.table`));
  }

  draw(features, draw, isGreedy) {
    const tokens = [];
    this.logits.forEach((head, channel) => {
      if (channel > 0) {
        const token = rowOf(this.tables[channel - 1], tokens[channel - 1]);
        const mixed = this.mixers[channel - 1].apply(joined(features, token));
        features = features.map((value, i) => value + Math.tanh(mixed[i]));
      }
      tokens.push(isGreedy && head instanceof Nade ? head.mode(features)
        : draw(head.apply(features), channel));
    });
    return tokens;
  }
}

class NoteHeads {
  constructor(tensors, steps) {
    const size = steps.slot_size;
    this.slotSize = size;
    this.numSlots = steps.vocab_sizes.length / size;
    this.unison = steps.unison;
    const each = (count, make) => Array.from({ length: count }, (_, i) => make(i));
    this.logits = each(size, (i) => softmaxHead(tensors, `heads.logits.${i}`));
    this.notes = new NoteTables(tensors, "heads.notes");
    this.fromStep = new Linear(tensors, "heads.from_step");
    this.fromBelow = new Linear(tensors, "heads.from_below");
    this.fromLast = tensors.get("heads.from_last");
    this.mixers = each(size - 1, (i) => new Linear(tensors, `heads.mixers.${i}`));
    this.tables = each(size - 1, (i) => tensors.get(`heads.embeddings.${i}.table`));
  }

  draw(features, draw) {
    const fromStep = this.fromStep.apply(features);
    const below = new Float32Array(this.fromBelow.weight.columns);
    const tokens = new Array(this.numSlots * this.slotSize).fill(0);
    let last = 0;
    for (let slot = 0; slot < this.numSlots; slot++) {
      const first = slot * this.slotSize;
      let loop = this.fromBelow.apply(below);
      loop = relu(add(add(loop, fromStep), rowOf(this.fromLast, last)));
      const note = [draw(this.rising(this.logits[0].apply(loop), last), first)];
      if (!note[0]) break;
      for (let channel = 1; channel < this.slotSize; channel++) {
        const mixed = this.mixers[channel - 1].apply(loop);
        loop = relu(add(mixed, rowOf(this.tables[channel - 1], note[channel - 1])));
        note.push(draw(this.logits[channel].apply(loop), first + channel));
      }
      note.forEach((token, channel) => { tokens[first + channel] = token; });
      add(below, this.notes.vector(note));
      last = note[0];
    }
    return tokens;
  }

  /** Pitches that may not follow the last one are impossible; 0 always may. */
  rising(logits, last) {
    const lowest = last + (this.unison ? 0 : 1);
    for (let pitch = 1; pitch < lowest; pitch++) logits[pitch] = -Infinity;
    return logits;
  }
}

function softmaxHead(tensors, name) {
  if (tensors.has(`${name}.vectors`)) return new Nade(tensors, name);
  return tensors.has(`${name}.contexts.weight`) ? new SoftmaxMixture(tensors, name)
    : new Linear(tensors, name);
}

/** The log-probabilities of a mixture of softmaxes. */
class SoftmaxMixture {
  constructor(tensors, name) {
    this.contexts = new Linear(tensors, `${name}.contexts`);
    this.priors = new Linear(tensors, `${name}.priors`);
    this.output = new Linear(tensors, name);
  }

  apply(features) {
    const contexts = this.contexts.apply(features).map(Math.tanh);
    const priors = logSoftmax(this.priors.apply(features));
    const width = features.length;
    const parts = Array.from(priors, (prior, k) =>
      logSoftmax(this.output.apply(contexts.subarray(k * width, (k + 1) * width)))
        .map((value) => value + prior));
    return parts[0].map((_, token) => logSum(parts.map((part) => part[token])));
  }
}

function logSum(values) {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - most);
  return most + Math.log(sum);
}

function logSoftmax(logits) {
  const total = logSum(logits);
  return logits.map((value) => value - total);
}
