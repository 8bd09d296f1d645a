/*
 * LSTM layers. Needs tensors.js.
 *
 *   new LstmLayer(tensors, name)
 *     .start()                       { hidden, cell } of zeros
 *     .gates(x)                      what an input adds to the gates, with the bias
 *     .step(gates, state)            one step; the gates hold the input's share, and are used up
 *   new BothWays(tensors, name)      layers that read a sequence from both ends
 *     .read(inputs)                  for each step, the states of both directions
 *
 * Gates come in the order of torch: input, forget, candidate, output.
 */
"use strict";

class LstmLayer {
  constructor(tensors, name) {
    this.input = tensors.get(`${name}.input`);
    this.own = tensors.get(`${name}.own`);
    this.bias = add(tensors.get(`${name}.bias`).data.slice(), tensors.get(`${name}.own_bias`).data);
    this.size = this.own.columns;
  }

  start() {
    return { hidden: new Float32Array(this.size), cell: new Float32Array(this.size) };
  }

  gates(x) {
    const gates = this.bias.slice();
    addProduct(gates, this.input, x);
    return gates;
  }

  step(gates, { hidden, cell }) {
    const { size } = this;
    addProduct(gates, this.own, hidden);
    for (let i = 0; i < size; i++) {
      cell[i] = sigmoid(gates[size + i]) * cell[i]
        + sigmoid(gates[i]) * Math.tanh(gates[2 * size + i]);
      hidden[i] = sigmoid(gates[3 * size + i]) * Math.tanh(cell[i]);
    }
    return hidden;
  }

  read(inputs) {
    const state = this.start();
    return inputs.map((x) => this.step(this.gates(x), state).slice());
  }
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

class BothWays {
  constructor(tensors, name) {
    this.layers = Array.from({ length: tensors.count(name) }, (_, number) =>
      ["ahead", "back"].map((way) => new LstmLayer(tensors, `${name}.${number}.${way}`)));
  }

  read(inputs) {
    let states = inputs;
    for (const [ahead, back] of this.layers) {
      const forward = ahead.read(states);
      const backward = back.read(states.toReversed()).reverse();
      states = forward.map((state, i) => joined(state, backward[i]));
    }
    return states;
  }
}

function joined(...parts) {
  const whole = new Float32Array(parts.reduce((size, part) => size + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}
