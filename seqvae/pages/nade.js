/*
 * NADE: sets of drums, one drum after the other. Needs tensors.js and lstm.js.
 *
 *   new Nade(tensors, name)
 *     .apply(features)    the log-probabilities of all sets; bit i of a set is drum i
 *     .mode(features)     the set of drums that are each more likely in than out
 *
 * Whether a drum is in the set is decided given those before it.
 */
"use strict";

class Nade {
  constructor(tensors, name) {
    this.biases = new Linear(tensors, `${name}.biases`);
    this.vectors = tensors.get(`${name}.vectors`);
    this.weights = tensors.get(`${name}.weights`);
  }

  apply(features) {
    const [start, bias] = this.begin(features);
    let sets = [{ units: start, logit: 0 }];
    bias.forEach((_, member) => {
      const odds = sets.map(({ units }) => this.odds(units, bias, member));
      sets = [
        ...sets.map(({ units, logit }, i) => ({ units, logit: logit + logSigmoid(-odds[i]) })),
        ...sets.map(({ units, logit }, i) =>
          ({ units: this.with(units, member), logit: logit + logSigmoid(odds[i]) })),
      ];
    });
    return Float32Array.from(sets, ({ logit }) => logit);
  }

  mode(features) {
    let [units, bias] = this.begin(features);
    let set = 0;
    bias.forEach((_, member) => {
      if (this.odds(units, bias, member) < 0) return;
      units = this.with(units, member);
      set |= 1 << member;
    });
    return set;
  }

  begin(features) {
    const values = this.biases.apply(features);
    const size = this.vectors.columns;
    return [values.subarray(0, size), values.subarray(size)];
  }

  odds(units, bias, member) {
    const weights = rowOf(this.weights, member);
    let sum = bias[member];
    for (let i = 0; i < units.length; i++) sum += sigmoid(units[i]) * weights[i];
    return sum;
  }

  with(units, member) { return add(units.slice(), rowOf(this.vectors, member)); }
}

function logSigmoid(x) { return Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))); }
