/*
 * What the page of a model of text is made of: its data, the engine and the instrument, whose clips
 * are lines. Needs engine.js, instrument.js and controls.js.
 */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

/** What of a state belongs to a line, and not to the code of a place. */
const AFRESH = { clip: null };

class LineInstrument extends Instrument {
  hear() {
    const { state } = this;
    if (this.isClip) {
      this.hearLine(state.clip);
      return;
    }
    const { z, amounts, temperature, seed } = state;
    this.engine.play({ z, amounts, temperature, seed }, ({ text, isLast }) => {
      if (this.state === state) this.hearLine(text, isLast);
    });
  }

  hearLine(text, isLast = true) {
    this.text = text;
    this.onText(text, isLast);
  }
}

/** A line is seen where it is written; music sounds here. */
function sound() {}

const engine = new Engine(document.getElementById("engine").textContent);
const instrument = new LineInstrument(engine, {
  onText: (text, isLast) => showText(text, isLast),
  onState: (state) => showState(state),
});

/** A line of the user is heard as it is, and its code can be moved. */
async function readLine(text) {
  const { z } = await engine.ask("encode", { text });
  instrument.set({ z, clip: text, amounts: {}, temperature: 0 });
}
