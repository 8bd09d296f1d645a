/*
 * The page of a model of text. Needs all scripts before it.
 */
"use strict";

const NUM_LINES = 6;
const line = html("p", { class: "line", "aria-live": "polite" });
const own = html("textarea", { rows: 2, "aria-label": "A line of your own",
  placeholder: "Type a line of your own, and press Enter",
  onkeydown: (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    trying(readOwn);
  } });
const lineList = html("ol", { class: "lines" });

function showText(text, isLast) {
  line.textContent = text || (isLast ? "(nothing)" : "");
  line.classList.toggle("unfinished", !isLast);
}

async function readOwn() {
  if (own.value.trim()) await readLine(own.value.trim());
}

function deck() {
  return html("div", { class: "deck" },
    html("section", { class: "transport", "aria-label": "Ideas" },
      html("button", { class: "main", type: "button", onclick: () => trying(surprise) },
        "Surprise me")),
    html("section", { class: "files", "aria-label": "Keeping" }, undoButton,
      actionButton("Copy link", () => copyLink()), actionButton("Copy the line", copyLine)));
}

async function copyLine() {
  await navigator.clipboard.writeText(instrument.text);
  say("The line is copied.");
}

// Several lines at once, each of which can be taken

async function showLines(codes) {
  const { texts } = await engine.ask("write", { codes });
  lineList.replaceChildren(...texts.map((text, i) => html("li", {},
    html("button", { type: "button", onclick: () => instrument.set({ z: codes[i], ...AFRESH,
      amounts: {}, temperature: 0 }) }, text || "(nothing)"))));
}

async function severalOf(question, about) {
  const codes = [];
  for (let i = 0; i < NUM_LINES; i++) {
    codes.push((await engine.ask(question, { ...about, seed: newSeed() })).z);
  }
  await showLines(codes);
}

async function fromFirstToSecond() {
  const codes = instrument.state.corners.slice(0, 2).map(({ z }) => z);
  const steps = [];
  for (let i = 0; i < NUM_LINES + 1; i++) {
    const weights = [1 - i / NUM_LINES, i / NUM_LINES];
    steps.push((await engine.ask("blend", { codes, weights })).z);
  }
  await showLines(steps);
}

function linesSection() {
  return html("section", { class: "notes", "aria-label": "The line" }, line, own,
    html("div", { class: "under" },
      actionButton("Take mine", readOwn),
      actionButton("More ideas", () => severalOf("draw", {})),
      actionButton("More like this", () =>
        severalOf("vary", { z: instrument.state.z, distance: Number(distance.value) })),
      actionButton("From A to B", fromFirstToSecond)), lineList);
}

function showState(state) {
  undoButton.disabled = !instrument.canUndo;
  showShape(state);
  showPlaces(state);
}

document.getElementById("page").append(
  heading("It has learned to write lines. Press “Surprise me”, drag the dot on the map, or type a line "
    + "of your own, and shape it."),
  deck(), padsSection(), linesSection(), shapeSection());
trying(() => begin());
