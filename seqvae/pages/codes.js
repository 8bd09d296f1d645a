/*
 * Arithmetic of codes. Needs tensors.js, lstm.js and noise.js.
 *
 *   blended(codes, weights)            the weighted mean, as long as the codes are on average
 *   new Prior(tensors)
 *     .draw(normal)                    a code of the prior; `normal` is a Normal of noise.js
 *   varied(z, other, distance)         part of a quarter circle from one code towards another
 *   new Directions(tensors, { names, gap })
 *     .shift(z, name, amount)          follows the direction of an attribute, as seqvae shift does
 */
"use strict";

const PATH_STEPS = 20; // of a path along a gradient
const FARTHEST = 0.6; // an amount of 1 goes at most this part of the radius sqrt(Z)

function lengthOf(z) {
  return Math.sqrt(z.reduce((sum, value) => sum + value * value, 0));
}

function blended(codes, weights) {
  const mean = new Float32Array(codes[0].length);
  let length = 0;
  codes.forEach((z, i) => {
    for (let d = 0; d < mean.length; d++) mean[d] += weights[i] * z[d];
    length += weights[i] * lengthOf(z);
  });
  const factor = length / Math.max(lengthOf(mean), 1e-6);
  return mean.map((value) => value * factor);
}

function varied(z, other, distance) {
  const angle = distance * Math.PI / 2;
  return z.map((value, i) => Math.cos(angle) * value + Math.sin(angle) * other[i]);
}

class Prior {
  constructor(tensors) {
    this.weights = tensors.get("prior.weights").data;
    this.means = tensors.get("prior.means");
    this.scales = tensors.get("prior.scales"); // a row for the lower triangle of each factor
  }

  draw(normal) {
    const total = this.weights.reduce((sum, weight) => sum + weight, 0);
    let rest = normal.uniform() * total;
    let component = 0;
    while (component + 1 < this.weights.length && rest > this.weights[component]) {
      rest -= this.weights[component];
      component++;
    }
    const z = rowOf(this.means, component).slice();
    const noise = z.map(() => normal.draw());
    const scale = rowOf(this.scales, component);
    let next = 0;
    for (let i = 0; i < z.length; i++) {
      for (let j = 0; j <= i; j++) z[i] += scale[next++] * noise[j];
    }
    return z;
  }
}

/** Scores are linear, or networks of layers with SiLU between them. */
class Directions {
  constructor(tensors, { names, gap }) {
    Object.assign(this, { names, gap });
    this.layers = Array.from({ length: tensors.count("directions") }, (_, i) =>
      new Linear(tensors, `directions.${i}`));
  }

  shift(z, name, amount) {
    const which = this.names.indexOf(name);
    const rise = Math.abs(amount) * this.gap[which] / PATH_STEPS;
    const longest = Math.abs(amount) * FARTHEST * Math.sqrt(z.length) / PATH_STEPS;
    for (let step = 0; step < PATH_STEPS; step++) {
      const slope = this.slope(z, which);
      const steepness = Math.max(lengthOf(slope), 1e-9);
      const length = Math.min(rise / steepness, longest) * Math.sign(amount);
      z = z.map((value, i) => value + length * slope[i] / steepness);
    }
    return z;
  }

  /** The gradient of a score, by the chain rule from the last layer to the first. */
  slope(z, which) {
    const before = []; // what each SiLU reads
    let x = z;
    for (const layer of this.layers.slice(0, -1)) {
      before.push(layer.apply(x));
      x = before[before.length - 1].map((value) => value * sigmoid(value));
    }
    let slope = rowOf(this.layers[this.layers.length - 1].weight, which);
    for (let i = before.length - 1; i >= 0; i--) {
      const through = slope.map((value, j) => {
        const gate = sigmoid(before[i][j]);
        return value * gate * (1 + before[i][j] * (1 - gate));
      });
      slope = timesRows(through, this.layers[i].weight);
    }
    return slope;
  }
}

/** The sum of the rows of a matrix, each times a number. */
function timesRows(factors, { data, rows, columns }) {
  const out = new Float32Array(columns);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) out[i] += factors[row] * data[row * columns + i];
  }
  return out;
}
