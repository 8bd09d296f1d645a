/*
 * Weights and products. Needs nothing else.
 *
 *   new Tensors(shapes, base64)      the weights of a model, from float16
 *     .get(name)                     a Matrix { data, rows, columns }, or a vector as one row;
 *                                    rows of subsets hold the vectors of their members
 *     .has(name)
 *     .count(prefix)                 how many layers there are: prefix.0, prefix.1, ...
 *   addProduct(out, matrix, x, at)   out += the columns of the matrix from `at` on, times x
 *   new Linear(tensors, name)        x -> weight x + bias
 *     .apply(x)
 *
 * All numbers are kept in float32 and added up in float64.
 */
"use strict";

class Tensors {
  constructor(shapes, base64) {
    this.shapes = shapes;
    this.halves = new Uint16Array(bytesOf(base64).buffer);
    this.places = {};
    let place = 0;
    for (const [name, shape] of Object.entries(shapes)) {
      this.places[name] = place;
      place += shape.reduce((product, size) => product * size, 1);
    }
    this.made = {};
  }

  has(name) { return name in this.shapes; }

  get(name) {
    if (!this.has(name)) throw new Error(`no weights of ${name}`);
    this.made[name] ??= this.make(name);
    return this.made[name];
  }

  make(name) {
    const shape = this.shapes[name];
    const columns = shape[shape.length - 1];
    const size = shape.reduce((product, number) => product * number, 1);
    const begin = this.places[name];
    const data = Float32Array.from(this.halves.subarray(begin, begin + size), floatOfHalf);
    const matrix = { data, rows: columns ? size / columns : 0, columns };
    if (this.has(`${name}.members`)) addMembers(matrix, this.get(`${name}.members`));
    return matrix;
  }

  count(prefix) {
    let number = 0;
    while (Object.keys(this.shapes).some((name) => name.startsWith(`${prefix}.${number}.`))) number++;
    return number;
  }
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** IEEE 754 half precision; weights are finite. */
function floatOfHalf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
    : sign * 2 ** -14 * (fraction / 1024);
}

/** Four rows at a time: each number of x is read once for all of them. */
function addProduct(out, { data, rows, columns }, x, at = 0) {
  const size = x.length;
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    const p = row * columns + at;
    const q = p + columns;
    const r = q + columns;
    const s = r + columns;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < size; i++) {
      const value = x[i];
      a += data[p + i] * value;
      b += data[q + i] * value;
      c += data[r + i] * value;
      d += data[s + i] * value;
    }
    out[row] += a;
    out[row + 1] += b;
    out[row + 2] += c;
    out[row + 3] += d;
  }
  for (; row < rows; row++) {
    const begin = row * columns + at;
    let sum = 0;
    for (let i = 0; i < size; i++) sum += data[begin + i] * x[i];
    out[row] += sum;
  }
}

class Linear {
  constructor(tensors, name) {
    this.weight = tensors.get(`${name}.weight`);
    this.bias = tensors.has(`${name}.bias`) ? tensors.get(`${name}.bias`).data : null;
  }

  apply(x) {
    const out = this.bias ? this.bias.slice() : new Float32Array(this.weight.rows);
    addProduct(out, this.weight, x);
    return out;
  }
}

/** Where bit i of a row's number is set, the row stands for a subset with member i. */
function addMembers(matrix, members) {
  for (let row = 0; row < matrix.rows; row++) {
    for (let member = 0; member < members.rows; member++) {
      if (row >> member & 1) add(rowOf(matrix, row), rowOf(members, member));
    }
  }
}

function rowOf({ data, columns }, row) {
  return data.subarray(row * columns, (row + 1) * columns);
}

function add(out, x) {
  for (let i = 0; i < out.length; i++) out[i] += x[i];
  return out;
}
