/*
 * Line and bar charts. Needs elements.js.
 *
 *   lineChart(title, unit, points, { fromZero, top })    a <figure>; points are [x, y] over epochs
 *   barChart(title, unit, values)                        a <figure>; one bar for each value
 *
 * The page's CSS defines the classes chart, axis, curve, dot, latest and bars.
 */
"use strict";

const CHART = { width: 320, height: 150, left: 40, right: 48, top: 12, bottom: 24 };

function figureTitle(title, unit) {
  return html("h3", {}, `${title} `, html("span", {}, unit));
}

/** The axis begins at 0 or at the least value, and ends at `top` or at the largest value. */
function lineChart(title, unit, points, { fromZero = true, top = null } = {}) {
  const known = points.filter(([, value]) => value !== null);
  const values = known.map(([, value]) => value);
  const least = fromZero || values.length < 2 ? 0 : Math.min(...values);
  const most = top ?? (Math.max(least, ...values) || 1);
  const first = known[0]?.[0] ?? 0;
  const [last, latest] = known.at(-1) ?? [1, null];

  const right = CHART.width - CHART.right;
  const bottom = CHART.height - CHART.bottom;
  const x = (epoch) => CHART.left + (right - CHART.left) * (epoch - first) / (last - first || 1);
  const y = (value) => bottom - (bottom - CHART.top) * (value - least) / (most - least || 1);
  const line = known.map(([epoch, value], i) => `${i ? "L" : "M"}${x(epoch)},${y(value)}`);

  const axes = [least, most].flatMap((value) => [
    svg("line", { class: "axis", x1: CHART.left, x2: right, y1: y(value), y2: y(value) }),
    svg("text", { x: CHART.left - 6, y: y(value) + 4, "text-anchor": "end" },
      value >= 10 ? value.toFixed(0) : String(Number(value.toPrecision(2)))),
  ]);
  const end = latest === null ? [] : [
    svg("circle", { class: "dot", cx: x(last), cy: y(latest), r: 3 }),
    svg("text", { class: "latest", x: x(last) + 7, y: y(latest) + 4 }, formatNumber(latest)),
  ];
  return html("figure", {}, figureTitle(title, unit), svg("svg", {
    class: "chart", viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img",
    "aria-label": `${title} over the epochs; the last value is ${formatNumber(latest)} ${unit}`,
  },
  axes,
  svg("text", { x: CHART.left, y: CHART.height - 6 }, `epoch ${first}`),
  svg("text", { x: right, y: CHART.height - 6, "text-anchor": "end" }, String(last)),
  svg("path", { class: "curve", d: line.join("") }),
  end));
}

/** The bars stretch with the page, the labels do not. */
function barChart(title, unit, values) {
  const most = Math.max(...values, 1e-9);
  const bars = values.map((value, i) => {
    const height = 100 * Math.max(value, 0) / most;
    return svg("rect", { x: i, y: 100 - height, width: 0.8, height });
  });
  return html("figure", {}, figureTitle(title, unit), html("div", { class: "bars" },
    html("span", {}, String(Number(most.toPrecision(2)))),
    svg("svg", {
      viewBox: `0 0 ${values.length} 100`, preserveAspectRatio: "none", role: "img",
      "aria-label": `${title}: ${values.length} values from ${formatNumber(values[0])} to ` +
        formatNumber(values.at(-1)),
    }, bars),
    html("span", {}, "1"), html("span", {}, String(values.length))));
}
