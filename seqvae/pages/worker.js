/*
 * The engine: answers the page's requests in a worker. Needs all files before it in ENGINE.
 *
 *   messages to it     { id, ask, ... }   ask is one of those in ANSWERS
 *   messages from it   { id, ... }        an answer, or { id, error }; of play one for each bar
 *
 * A newer request to play ends the one before it: what is dragged is never behind by more than a bar.
 */
"use strict";

const engine = {};

function start({ model }) {
  const tensors = new Tensors(model.shapes, model.weights);
  Object.assign(engine, {
    encoder: new Encoder(tensors, model.config, model.steps),
    decoder: new Decoder(tensors, model.config, model.steps),
    prior: new Prior(tensors),
    directions: model.directions ? new Directions(tensors, model.directions) : null,
    points: tensors.get("points"),
    tokens: tokensFor(model.grid),
    latest: 0,
  });
  return { voices: engine.tokens.voices };
}

/** The bars of a code, with its attributes shifted. `moved` is by how much the clip was transposed. */
async function play({ id, z, amounts = {}, temperature, seed, moved = 0 }) {
  engine.latest = id;
  const { tokens, decoder } = engine;
  let code = z;
  for (const [name, amount] of Object.entries(amounts)) {
    if (amount) code = engine.directions.shift(code, name, amount);
  }
  const ids = [];
  for (const step of decoder.decode(code, { temperature, seed })) {
    ids.push(step);
    if (ids.length % tokens.grid.model_bar) continue;
    const isLast = ids.length === decoder.steps.max_steps;
    postMessage({ id, notes: transposed(tokens.notes(ids), -moved), isLast });
    await pause();
    if (engine.latest !== id) return;
  }
}

/** Lets newer messages in. */
function pause() {
  return new Promise((resolve) => { setTimeout(resolve); });
}

/** A clip as the model hears it, and its code. `moved` is that of the whole file, if it is of one. */
function encode({ notes, moved = wayToCommonKey(notes) }) {
  const { tokens, encoder } = engine;
  const ids = tokens.ids(transposed(notes, moved));
  const seen = tokens.seen ? tokens.seen(ids) : ids;
  return { z: encoder.mean(seen), notes: transposed(tokens.notes(ids), -moved), moved };
}

function wayToCommonKey(notes) {
  const { keys, min_pitch: low, max_pitch: high } = engine.tokens.grid;
  return keys === "normalised" ? toCommonKey(notes, { low, high }) : 0;
}

function transposed(notes, semitones) {
  if (!semitones) return notes;
  return notes.map((note) => (note.drum === null
    ? { ...note, pitch: note.pitch + semitones } : note));
}

/** The windows of a file that are not silent: their notes, and the bar at which each begins. */
function read({ bytes }) {
  const { tokens } = engine;
  const song = readMidi(new Uint8Array(bytes), tokens.grid.steps_per_quarter);
  const windows = windowsOf(song, tokens).filter(({ notes }) => notes.length);
  if (!windows.length) throw new Error("it is silent");
  const moved = wayToCommonKey(windows.flatMap(({ notes }) => notes));
  return { windows, moved, qpm: song.qpm };
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

const ANSWERS = { start, play, encode, read, draw, vary, blend, blendPoints };

globalThis.onmessage = async ({ data }) => {
  const { id, ask } = data;
  try {
    const answer = await ANSWERS[ask](data);
    if (answer) postMessage({ id, ...answer });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};
