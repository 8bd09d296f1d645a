/*
 * Corners with lines of the user. Needs text_stage.js and places.js.
 */
"use strict";

const SHOWN = 16; // characters of a line, at its corner
const cornerList = html("ul", { class: "corners" });

function showCorners(corners) {
  squarePad.setNames(corners.map(({ name }, i) => `${CORNERS[i]} ${shortened(name)}`.trim()));
  cornerList.replaceChildren(...corners.map(cornerCard));
}

function shortened(text) {
  const characters = [...text];
  return characters.length > SHOWN ? `${characters.slice(0, SHOWN - 1).join("")}…` : text;
}

function cornerCard({ clip }, i) {
  const action = (text, label, act) =>
    actionButton(text, act, `${label} corner ${CORNERS[i]}`);
  const field = html("textarea", { rows: 2, "aria-label": `Line of corner ${CORNERS[i]}`,
    placeholder: "type a line",
    onchange: () => trying(() => setLine(i, field.value.trim())) });
  field.value = clip ?? "";
  return html("li", { class: "corner", style: `border-left-color:var(--voice-${i})` },
    html("b", {}, CORNERS[i]), field,
    html("div", {}, action("Read", "Read", () => hearCorner(i)),
      action("Keep this", "Keep the line in", () => setLine(i, instrument.text))));
}

async function setLine(i, text) {
  if (!text) return;
  const { z } = await engine.ask("encode", { text });
  squarePad.moveTo([i % 2, Math.floor(i / 2)]);
  instrument.set({ corners: setCorner(i, { name: text, z, clip: text, context: AFRESH }), z,
    clip: text, amounts: {}, temperature: 0, view: "square", square: squarePad.place });
}
