/*
 * The engine: answers the page's requests in a worker. Needs all files before it in ENGINE.
 *
 *   messages to it     { id, ask, ... }   ask is one of those in ANSWERS
 *   messages from it   { id, ... }        an answer, or { id, error }; of play one for each part
 *
 * Here stands what music and text share; music_worker.js and text_worker.js add what they do not.
 * A newer request to play ends the one before it: what is dragged is never behind by more than a
 * part.
 */
"use strict";

const engine = { latest: 0 };

function start({ model }) {
  const tensors = new Tensors(model.shapes, model.weights);
  Object.assign(engine, {
    encoder: tensors.has("encoder.mean.weight")
      ? new Encoder(tensors, model.config, model.steps) : null,
    decoder: new Decoder(tensors, model.config, model.steps),
    prior: new Prior(tensors),
    directions: model.directions ? new Directions(tensors, model.directions) : null,
    points: tensors.get("points"),
    ...represent(model),
  });
  return {};
}

/** A code with its attributes shifted. */
function shaped(z, amounts) {
  let code = z;
  for (const [name, amount] of Object.entries(amounts)) {
    if (amount) code = engine.directions.shift(code, name, amount);
  }
  return code;
}

/** Lets newer messages in. */
function pause() {
  return new Promise((resolve) => { setTimeout(resolve); });
}

function draw({ seed }) {
  return { z: engine.prior.draw(new Normal(seed)) };
}

function vary({ z, distance, seed }) {
  return { z: varied(z, engine.prior.draw(new Normal(seed)), distance) };
}

function blend({ codes, weights }) {
  return { z: blended(codes, weights) };
}

/** The blend of points of the map, by number. */
function blendPoints({ numbers, weights }) {
  return { z: blended(numbers.map((number) => rowOf(engine.points, number)), weights) };
}

const ANSWERS = { start, draw, vary, blend, blendPoints };

globalThis.onmessage = async ({ data }) => {
  const { id, ask } = data;
  try {
    const answer = await ANSWERS[ask](data);
    if (answer) postMessage({ id, ...answer });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};
