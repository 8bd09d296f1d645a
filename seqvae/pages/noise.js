/*
 * Random numbers that are those of Python. Needs nothing else.
 *
 *   rowSeed(seed)            the seed of the first row that torch draws from a generator's seed
 *   new GumbelNoise(seed)    the noise of one row; `seed` is { low, high }, of 32 bits each
 *     .add(logits, step, channel)
 *   new Normal(seed)         normal draws, for codes
 *     .draw()
 */
"use strict";

const GOLDEN = 0x9e3779b9; // 2^32 / golden ratio: multiples of it are spread evenly
const LARGEST = 1 - 2 ** -24; // the largest float32 below 1

/** A hash of 32-bit integers ("lowbias32", Wellons 2018). */
function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

class GumbelNoise {
  constructor({ low, high }) {
    this.low = mix(low);
    this.high = mix(high ^ GOLDEN);
  }

  add(logits, step, channel) {
    const row = mix(mix(mix(this.low + step) ^ this.high) + channel);
    for (let token = 0; token < logits.length; token++) {
      const hash = mix((row + Math.imul(token, GOLDEN)) | 0);
      const uniform = Math.min(Math.fround(hash) * 2 ** -32, LARGEST);
      logits[token] -= Math.fround(Math.log(-Math.fround(Math.log1p(-uniform))));
    }
  }
}

/** What torch.randint(2 ** 62, (1,)) draws after manual_seed(seed): two words of MT19937. */
function rowSeed(seed) {
  const [high, low] = mersenneWords(seed >>> 0);
  return { low, high: (high & 0x3fffffff) >>> 0 };
}

/** The first two words (Matsumoto & Nishimura 1998); they need the first 399 of the state alone. */
function mersenneWords(seed) {
  const state = new Uint32Array(399);
  state[0] = seed;
  for (let i = 1; i < state.length; i++) {
    state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }
  return [0, 1].map((i) => {
    const both = (state[i] & 0x80000000) | (state[i + 1] & 0x7fffffff);
    let word = state[i + 397] ^ (both >>> 1) ^ (both & 1 ? 0x9908b0df : 0);
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  });
}

class Normal {
  constructor(seed) {
    this.key = mix(seed ^ GOLDEN);
    this.count = 0;
  }

  uniform() {
    this.count += 1;
    return (mix(this.key + Math.imul(this.count, GOLDEN)) + 0.5) * 2 ** -32;
  }

  /** Box & Muller 1958. */
  draw() {
    return Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}
