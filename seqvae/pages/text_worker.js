/*
 * What the engine answers of text. Needs all files before it in ENGINE.
 */
"use strict";

const PART = 8; // tokens that are shown at a time

function represent({ grid }) {
  return { tokens: textTokensFor(grid) };
}

/** The line of a code, while it is written. */
async function play({ id, z, amounts = {}, temperature, seed }) {
  engine.latest = id;
  const ids = [];
  for (const step of engine.decoder.decode(shaped(z, amounts), { temperature, seed })) {
    ids.push(step);
    if (ids.length % PART) continue;
    postMessage({ id, text: engine.tokens.text(ids), isLast: false });
    await pause();
    if (engine.latest !== id) return;
  }
  postMessage({ id, text: engine.tokens.text(ids), isLast: true });
}

/** The code of a line. */
function encode({ text }) {
  return { z: engine.encoder.mean(engine.tokens.ids(text)) };
}

/** The lines of several codes. */
function write({ codes }) {
  return { texts: codes.map((z) => engine.tokens.text([...engine.decoder.decode(z)])) };
}

Object.assign(ANSWERS, { play, encode, write });
