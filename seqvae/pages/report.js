"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const isMusic = data.modality === "music";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

// What the model is, and how it learned

function heading() {
  const facts = Object.entries(data.facts).map(([name, value]) => html("div", {},
    html("dt", {}, name),
    html("dd", {}, typeof value === "number" ? value.toLocaleString("en") : value)));
  return html("header", {},
    html("p", { class: "overline" }, "A variational autoencoder of ",
      isMusic ? "music" : "sentences"),
    html("h1", {}, data.title),
    html("dl", { class: "facts" }, facts));
}

const titled = (name, unit) => html("h3", {}, `${name} `, html("span", {}, unit));

const CHART = { width: 320, height: 150, left: 40, right: 48, top: 12, bottom: 24 };

/** A figure over the epochs: from 0 or, where that says little, the least value, to the largest or `high`. */
function curve(name, unit, values, { fromZero = true, high = null } = {}) {
  const { width, height, left, right, top, bottom } = CHART;
  const known = data.curves.epoch.map((epoch, i) => [epoch, values[i]])
    .filter(([, value]) => value !== null);
  const first = known.length ? known[0][0] : 0;
  const last = known.length ? known.at(-1)[0] : 1;
  const all = known.map(([, value]) => value);
  const least = fromZero || all.length < 2 ? 0 : Math.min(...all);
  const most = high ?? (Math.max(least, ...all) || 1);
  const x = (epoch) => left + (width - left - right) * (epoch - first) / (last - first || 1);
  const y = (value) => height - bottom - (height - top - bottom) * (value - least) / (most - least || 1);
  const path = known.map(([epoch, value], i) => `${i ? "L" : "M"}${x(epoch)},${y(value)}`);
  const end = known.at(-1) ?? [last, null];
  return html("figure", {}, titled(name, unit), svg("svg", {
    class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${name} over the epochs, ${shown(end[1])} ${unit} in the last`,
  },
    svg("line", { class: "axis", x1: left, x2: width - right, y1: y(least), y2: y(least) }),
    svg("line", { class: "axis", x1: left, x2: width - right, y1: y(most), y2: y(most) }),
    ...[least, most].map((value) => svg("text",
      { x: left - 6, y: y(value) + 4, "text-anchor": "end" },
      value >= 10 ? value.toFixed(0) : String(+value.toPrecision(2)))),
    svg("text", { x: left, y: height - 6 }, `epoch ${first}`),
    svg("text", { x: width - right, y: height - 6, "text-anchor": "end" }, String(last)),
    svg("path", { class: "curve", d: path.join("") }),
    ...(end[1] === null ? [] : [
      svg("circle", { class: "dot", cx: x(end[0]), cy: y(end[1]), r: 3 }),
      svg("text", { class: "latest", x: x(end[0]) + 7, y: y(end[1]) + 4 }, shown(end[1])),
    ])));
}

function learning() {
  return section("Learning", "On the validation split while it trained; the best epoch is kept.",
    html("div", { class: "charts" },
      curve("−ELBO", "nats per sequence", data.curves.neg_elbo, { fromZero: false }),
      curve("KL", "nats per sequence", data.curves.kl),
      curve("Free-running accuracy", "share of tokens", data.curves.accuracy_free_running, { high: 1 })));
}

// The figures

function share(part) {
  const [value, ceiling] = part.values;
  const ticks = ceiling === undefined ? [] : [html("b", { style: `left:${100 * ceiling}%` })];
  const text = ceiling === undefined ? shown(value) : `${shown(value)} of ${shown(ceiling)}`;
  return html("li", {}, html("span", {}, spaced(part.name)),
    html("span", { class: "gauge", "aria-hidden": "true" },
      html("i", { style: `width:${100 * value}%` }), ...ticks),
    html("span", { class: "number" }, text));
}

function figureRow(figure) {
  // A long name may break where its words end.
  const words = figure.name.split(/(?<=_)/).flatMap((word) => [word, html("wbr")]);
  const name = html("code", {}, words);
  const about = html("td", { class: "about" }, figure.definition);
  if (figure.parts) {
    return html("tr", { class: "whole" }, html("th", { scope: "row" }, name, ` ${figure.unit}`),
      about, html("td", { class: "value" },
        html("ul", { class: "parts" }, figure.parts.map(share))));
  }
  const error = figure.stderr ? ` ± ${shown(figure.stderr)}` : "";
  return html("tr", {}, html("th", { scope: "row" }, name), about,
    html("td", { class: "number value" }, figure.values.map(shown).join(" of ") + error,
      html("small", {}, figure.unit)));
}

/** The mean KL of each latent dimension; the bars stretch with the page, the labels do not. */
function usage() {
  const values = data.kl_per_dim;
  const most = Math.max(...values, 1e-9);
  const bars = values.map((value, i) => {
    const size = 100 * Math.max(value, 0) / most;
    return svg("rect", { x: i, y: 100 - size, width: 0.8, height: size });
  });
  return html("figure", { style: "margin-top:2.25rem" },
    titled("Use of the latent dimensions", "mean KL in nats of each, the most used first"),
    html("div", { class: "bars" },
      html("span", {}, String(+most.toPrecision(2))),
      svg("svg", { viewBox: `0 0 ${values.length} 100`, preserveAspectRatio: "none", role: "img",
        "aria-label": `Mean KL of ${values.length} latent dimensions, ` +
          `from ${shown(values[0])} to ${shown(values.at(-1))} nats` }, ...bars),
      html("span", {}, "1"), html("span", {}, String(values.length))));
}

function figures() {
  return section("Figures",
    `Of the validation split, by seqvae evaluate with ${data.iw_samples} draws a sequence for ` +
      "iw_nll.",
    html("table", { class: "figures" }, html("tbody", {}, data.figures.map(figureRow))),
    usage());
}

// Samples and the interpolation

/** Contents with a name each, as clips or as sentences. */
function list(named, kind) {
  if (!isMusic) {
    return html("ol", { class: "sentences" }, named.map(([name, sentence]) => html("li", {},
      html("span", { class: "name" }, name), html("span", { class: "sentence" }, sentence))));
  }
  const rows = rowsOf(named.map(([, clip]) => clip));
  const legend = rows.drums.length
    ? [html("p", { class: "muted" }, `Drums from below: ${rows.drums.join(", ")}.`)] : [];
  const clips = named.map(([name, clip]) => clipView(clip, name, rows, "li"));
  const views = clips.map((clip) => clip.view);
  const button = html("button", { type: "button", onclick: () => player.toggleAll(views) },
    "Play in turn");
  return [...legend, kind === "way" ? button : null,
    html("ol", { class: `clips ${kind}` }, clips.map((clip) => clip.node))];
}

function samples() {
  const named = data.samples.map((content, i) =>
    [isMusic ? `sample ${i + 1}` : `${i + 1}`, content]);
  const part = section("Samples", "Drawn from the prior at temperature 1, without selection.",
    list(named, ""));
  part.classList.add("samples");
  return part;
}

function interpolation() {
  const { ends, contents } = data.interpolation;
  const named = contents.map((content, i) => [`step ${i + 1}`, content]);
  return section("From one to another",
    "Two inputs that the model has not seen in training, and the great circle between their " +
      "codes; the first and the last step are their reconstructions.",
    list([["first input", ends[0]], ...named, ["second input", ends[1]]], "way"));
}

function mapSection() {
  const { points, total, plane } = data.map;
  const which = points.length < total
    ? `${points.length.toLocaleString("en")} of ${total.toLocaleString("en")} posterior means, ` +
      "drawn at random,"
    : `All ${total.toLocaleString("en")} posterior means`;
  return section("Map of the latent space",
    `${which} of the validation split on ${plane}. The numbers are the steps above.`,
    new LatentMap().node);
}

// The attribute matrix

const STRONG = 1; // a change that has the full colour, in spreads

function cell(value, isOwn) {
  const depth = Math.round(58 * Math.min(Math.abs(value ?? 0) / STRONG, 1));
  const paint = `color-mix(in oklab, var(--${value < 0 ? "low" : "high"}) ${depth}%, var(--card))`;
  const size = Math.abs(value ?? 0).toFixed(2);
  const sign = size === "0.00" ? "" : value > 0 ? "+" : "−";
  return html("td", { class: `number${isOwn ? " own" : ""}`, style: `background:${paint}` },
    value === null ? "–" : sign + size);
}

const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(0)} %`);

function matrix({ names, measured, change, rising, able }) {
  const head = [html("th", { scope: "col" }, "moved along"),
    ...measured.map((name) => html("th", { scope: "col" }, spaced(name))),
    html("th", { scope: "col", class: "share" }, "rose"),
    html("th", { scope: "col" }, "rose, if not at its top")];
  const body = names.map((name, i) => html("tr", {}, html("th", { scope: "row" }, spaced(name)),
    change[i].map((value, j) => cell(value, measured[j] === name)),
    html("td", { class: "number share" }, percent(rising[i])),
    html("td", { class: "number" }, percent(able[i]))));
  return html("div", { class: "scroll", tabindex: 0, role: "region",
    "aria-label": "Attribute matrix" },
    html("table", { class: "matrix" }, html("thead", {}, html("tr", {}, head)),
      html("tbody", {}, body)));
}

function attributes() {
  if (!data.movement) {
    return section("Attributes", ["None are fitted yet: ",
      html("code", {}, "seqvae attributes RUN"), " fits them."]);
  }
  return section("Attributes", "Samples of the prior are moved along one attribute (rows): the " +
    "mean change of every attribute (columns), in units of its spread between the lowest and the " +
    "highest quarter of the corpus, and the share of samples whose own attribute rose; of all, " +
    "and of those that do not have the highest value already.",
  matrix(data.movement));
}

document.title = `${data.title} – seqvae`;
document.getElementById("page").append(
  heading(), learning(), figures(), samples(), interpolation(), mapSection(), attributes(),
  html("footer", { class: "muted" }, "Written by seqvae report. Everything is in this file."));
