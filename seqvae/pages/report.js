/*
 * The report: its sections, filled with the data that Python has written into the page. Needs
 * elements.js, charts.js, clip.js, midi.js, synth.js, roll.js, card.js, map.js and listening.js.
 */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const isMusic = data.modality === "music";
const player = isMusic ? new Player() : null;

/** The paragraph `about` is a string or a list of strings and elements. */
function section(title, about, ...children) {
  const id = title.toLowerCase().replace(/\W+/g, "-");
  return html("section", { id, "aria-labelledby": `${id}-title` },
    html("h2", { id: `${id}-title` }, title), html("p", { class: "muted" }, about), ...children);
}

function heading() {
  const facts = Object.entries(data.facts).map(([name, value]) => html("div", {},
    html("dt", {}, name),
    html("dd", {}, typeof value === "number" ? formatNumber(value) : value)));
  return html("header", {},
    html("p", { class: "overline" }, `A variational autoencoder of ${data.modality}`),
    html("h1", {}, data.title),
    html("p", {}, data.instrument ? html("a", { href: data.instrument }, "Play this model")
      : ["To play this model, run ", html("code", {}, "seqvae play RUN"), "."]),
    html("p", { class: "findings" }, data.findings.join(" ")),
    data.warnings.map((warning) => html("p", { class: "warning", role: "note" }, warning)),
    html("dl", { class: "facts" }, facts));
}

// Training and metrics

function trainingSection() {
  const { epoch, neg_elbo, kl, accuracy_free_running } = data.curves;
  const over = (values) => epoch.map((number, i) => [number, values[i]]);
  return section("Training",
    "Measured on the validation split during training. The model of this report is that of the " +
      "best epoch.",
    html("div", { class: "charts" },
      lineChart("−ELBO", "nats per sequence", over(neg_elbo), { fromZero: false }),
      lineChart("KL", "nats per sequence", over(kl)),
      lineChart("Free-running accuracy", "fraction of tokens", over(accuracy_free_running),
        { top: 1 })));
}

function metricsSection() {
  return section("Metrics",
    "Measured on the validation split by seqvae evaluate. iw_nll takes " +
      `${data.iw_samples} samples of z per sequence.`,
    html("table", { class: "metrics" }, html("tbody", {}, data.metrics.map(metricRow))),
    barChart("KL of each latent dimension", "mean in nats, largest first", data.kl_per_dim));
}

/** Values with their ceiling or standard error, or a gauge for each part. */
function metricRow({ name, unit, definition, values, ceiling, stderr, parts }) {
  const breakable = name.split(/(?<=_)/).flatMap((word) => [word, html("wbr")]);
  const label = html("code", {}, breakable);
  const about = html("td", { class: "about" }, definition);
  if (parts) {
    return html("tr", { class: "wide" }, html("th", { scope: "row" }, label, ` ${unit}`), about,
      html("td", { class: "value" }, html("ul", { class: "parts" }, parts.map(partGauge))));
  }
  const most = ceiling === null ? "" : ` of ${formatNumber(ceiling)}`;
  const error = stderr === null ? "" : ` ± ${formatNumber(stderr)}`;
  return html("tr", {}, html("th", { scope: "row" }, label), about,
    html("td", { class: "number value" }, values.map(formatNumber).join(" / ") + most + error,
      html("small", {}, unit)));
}

function partGauge({ name, values }) {
  const [value, reference] = values;
  const tick = reference === undefined ? null : html("b", { style: `left:${100 * reference}%` });
  return html("li", {}, html("span", {}, formatName(name)),
    html("span", { class: "gauge", "aria-hidden": "true" },
      html("i", { style: `width:${100 * value}%` }), tick),
    html("span", { class: "number" }, values.map(formatNumber).join(" / ")));
}

// Samples and the interpolation

function samplesSection() {
  const named = data.samples.map((content, i) =>
    [isMusic ? `sample ${i + 1}` : String(i + 1), content]);
  const over = data.over_chords ? ", over the chords of sequences of the validation split" : "";
  return section("Samples", `Drawn from the prior at temperature 1${over}; not selected.`,
    isMusic ? clipList(named) : sentenceList(named));
}

/** Labels are hidden until a listener has guessed; names and file names say nothing either. */
function listeningSection() {
  if (!data.listening.length) return null;
  const clips = data.listening.map(({ clip }) => unpackClip(clip, data.grid));
  const layout = rollLayout(clips);
  const named = clips.map((clip, i) => ({
    ...data.listening[i], ...card(clip, `clip ${i + 1}`, { layout, tag: "li" }),
  }));
  const numSamples = data.listening.filter(({ isSample }) => isSample).length;
  return section("Listening test",
    `${numSamples} samples at temperature 1 and ${clips.length - numSamples} sequences of the ` +
      "test split, shuffled; none is selected. Which are which?",
    ...new ListeningTest(named).elements);
}

function interpolationSection() {
  const { start, end, steps } = data.interpolation;
  const named = [["start", start], ...steps.map((step, i) => [`step ${i + 1}`, step]),
    ["end", end]];
  return section("Interpolation",
    "From one sequence of the validation split to another, along the great circle between their " +
      `codes. Steps 1 and ${steps.length} are the reconstructions of the start and the end.`,
    isMusic ? clipList(named, { playAll: true }) : sentenceList(named));
}

function sentenceList(named) {
  return html("ol", { class: "sentences" }, named.map(([name, sentence]) => html("li", {},
    html("span", { class: "name" }, name), html("span", { class: "sentence" }, sentence))));
}

function clipList(named, { playAll = false } = {}) {
  const clips = named.map(([, packed]) => unpackClip(packed, data.grid));
  const layout = rollLayout(clips);
  const cards = clips.map((clip, i) => card(clip, named[i][0], { layout, tag: "li" }));
  return [
    layout.drums.length
      ? html("p", { class: "muted" }, `Drums, from the bottom up: ${layout.drums.join(", ")}.`)
      : null,
    playAll
      ? html("button", { type: "button", onclick: () => player.toggleAll(cards) }, "Play all")
      : null,
    html("ol", { class: "clips" }, cards.map(({ element }) => element)),
  ];
}

function card(clip, name, options) {
  return new ClipCard(clip, name, player, { fileName: `${data.title} ${name}.mid`, ...options });
}

// The map of the latent space

function mapSection() {
  const { points, total, plane, contents, attributes } = data.map;
  const sequences = points.length < total
    ? `${formatNumber(points.length)} sequences of the validation split, chosen at random from ` +
      formatNumber(total)
    : `all ${formatNumber(total)} sequences of the validation split`;
  const map = new LatentMap({
    points, attributes, path: data.interpolation.points,
    describe: (i) => (isMusic ? `point ${i + 1}` : contents[i]),
    open: (i) => openPoint(contents[i], `point ${i + 1}`),
  });
  return section("Map of the latent space",
    `The posterior means of ${sequences}, projected onto ${plane}. The numbered path is the ` +
      "interpolation above.",
    map.element);
}

function openPoint(content, name) {
  if (!isMusic) return html("p", { class: "sentence" }, content);
  player.stop();
  return card(unpackClip(content, data.grid), name).element;
}

// The attribute matrix

const FULL_COLOUR = 1; // the change, in spreads, whose cell has the strongest colour

function attributesSection() {
  if (!data.movement) {
    return section("Attributes", ["No attributes have been fitted. Run ",
      html("code", {}, "seqvae attributes RUN"), " to fit them."]);
  }
  const { amount } = data.movement;
  const [moved, extreme] = amount > 0 ? ["rose", "maximum"] : ["fell", "minimum"];
  return section("Attributes",
    `Samples of the prior were moved by ${formatShort(amount)} along one attribute at a time ` +
      "(rows). Cells show the mean change of each attribute (columns). A change of 1 equals the " +
      "distance between the lowest and the highest quarter of the data on which the attribute " +
      `was fitted. The last columns show how many samples ${moved} in the attribute along which ` +
      `they were moved: of all samples, and of those that were not at the ${extreme} before.`,
    attributeMatrix(data.movement, moved, extreme));
}

function attributeMatrix(movement, moved, extreme) {
  const { names, measured, change, success, success_of_movable } = movement;
  const column = (name) => html("th", { scope: "col" }, name);
  const head = html("tr", {}, column("moved along"),
    measured.map((name) => column(formatName(name))),
    html("th", { scope: "col", class: "percentage" }, moved),
    column(`${moved}, of those not at the ${extreme}`));
  const rows = names.map((name, i) => html("tr", {}, html("th", { scope: "row" }, formatName(name)),
    change[i].map((value, j) => changeCell(value, measured[j] === name)),
    html("td", { class: "number percentage" }, formatPercentage(success[i])),
    html("td", { class: "number" }, formatPercentage(success_of_movable[i]))));
  return html("div", {
    class: "scroll", tabindex: 0, role: "region", "aria-label": "Attribute matrix",
  }, html("table", { class: "matrix" }, html("thead", {}, head), html("tbody", {}, rows)));
}

/** The diagonal shows the change that was wanted. */
function changeCell(value, isDiagonal) {
  const strength = Math.round(58 * Math.min(Math.abs(value ?? 0) / FULL_COLOUR, 1));
  const colour = `color-mix(in oklab, var(--${value < 0 ? "low" : "high"}) ${strength}%, var(--card))`;
  const size = Math.abs(value ?? 0).toFixed(2);
  const sign = size === "0.00" ? "" : value > 0 ? "+" : "−";
  return html("td", { class: `number${isDiagonal ? " diagonal" : ""}`,
    style: `background:${colour}` }, value === null ? "–" : sign + size);
}

function formatPercentage(fraction) {
  return fraction === null ? "–" : `${(100 * fraction).toFixed(0)}%`;
}

document.title = `${data.title} – seqvae`;
document.getElementById("page").append(
  ...[heading(), trainingSection(), metricsSection(), samplesSection(), listeningSection(),
    interpolationSection(), mapSection(), attributesSection()].filter((part) => part !== null),
  html("footer", { class: "muted" }, "Written by seqvae report. This file loads nothing."));
