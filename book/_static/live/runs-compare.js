// Two groups of recorded runs over one another: the difference, the curves, and where they agree. Observable Plot
// draws the charts, because each is one readable expression and the library is a third of the size of Vega-Lite with
// Vega. It comes with this module, so only a reader who compares fetches it.
import { make } from "./elements.js";
import { commandFor, nameOf, percent, points, results } from "./runs-list.js";
import { mean, spread, welch } from "./statistics.js";
import { areaY, axisX, axisY, dot, lineY, plot, pointerX, ruleX, ruleY, tip } from "./vendor/plot.js";

/** @import { Group, Quantity, Recorded, Result } from "./runs-list.js" */
/** @typedef {{ epoch: number, mean: number, spread: number }} Epoch  of several seeds */

const COLORS = ["var(--side-a)", "var(--side-b)"];

/** @type {[Result, string][]} */
const MEASURES = [
  ["test_accuracy", "test"],
  ["test_accuracy_views", "test, more views"],
  ["val_accuracy", "validation"],
];

/** Each with the factor by which it is shown. @type {[Quantity, string, number][]} */
const CURVES = [
  ["val_accuracy", "Validation accuracy, %", 100],
  ["val_loss", "Validation loss, nats", 1],
  ["train_loss", "Training loss, nats", 1],
];

/**
 * @param {HTMLElement} place
 * @param {Recorded} recorded
 * @param {Group} a
 * @param {Group} b
 */
export function show(place, recorded, a, b) {
  const charts = make("div", { class: "runs-charts" });
  place.replaceChildren(
    make("h3", {}, side("A", a.recipe), " and ", side("B", b.recipe)),
    make("p", { class: "runs-verdict", role: "status" }, verdict(a, b)),
    ...cautions(a, b).map((text) => make("p", { class: "runs-caution" }, text)),
    charts,
    measures(a, b),
    make(
      "p",
      {},
      "The intervals are Welch’s, over seeds. They say how far other seeds might have moved the difference, and nothing " +
        "else. Other test images would have given other accuracies, even with the same networks. ",
      a.recipe !== b.recipe && "Two recipes with the same seed can share luck, because the order of their images is the same. ",
      "And among many pairs of equal methods, about one in twenty seems to differ.",
    ),
    ...agreement(recorded, a, b),
    differences(recorded, a, b),
    numbers(a, b),
    make("p", {}, "To train both again:"),
    make("pre", { tabindex: 0 }, [...new Set([a, b].map(commandFor))].join("\n")),
  );
  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(charts.clientWidth - width) < 2) return;
    width = charts.clientWidth;
    if (width) charts.replaceChildren(strip(a, b, width), ...intervalChart(a, b, width), ...curves(a, b, width));
  }).observe(charts);
}

/** @param {"A" | "B"} letter @param {string} text */
function side(letter, text) {
  return make("span", { class: "runs-side", "data-side": letter }, `${letter}: ${text}`);
}

/**
 * What the seeds say about the test accuracy, in words.
 * @param {Group} a
 * @param {Group} b
 */
export function verdict(a, b) {
  const { difference, low, high } = welch(results(a, "test_accuracy"), results(b, "test_accuracy"));
  const measured =
    points(difference) === "0.0"
      ? "On the test images A and B are equally accurate, to a tenth of a point"
      : `On the test images A is ${points(Math.abs(difference))} points ${difference > 0 ? "better" : "worse"} than B`;
  if (Number.isNaN(low)) return `${measured}. One side has a single seed, so there is no interval.`;
  const between = `the 95 % interval reaches from ${points(low)} to ${points(high)} points`;
  if (low > 0 || high < 0) return `${measured}; ${between}. It leaves out zero: the seeds tell the two apart.`;
  return `${measured}; ${between}. It contains zero: these seeds do not tell which is better.`;
}

/**
 * What makes a comparison unfair or hard to read.
 * @param {Group} a
 * @param {Group} b
 */
export function cautions(a, b) {
  const [data, other] = [a, b].map((group) => group.data.split("/")[0]);
  return [
    data !== other && "They were trained and tested on different data sets, so the difference says more about the data than about the recipes.",
    data === other && a.test_images !== b.test_images && "They were tested on different numbers of test images, which moves both accuracies by an amount that the interval does not know.",
    a.place !== b.place && "They were trained on different machines. That hardly changes an accuracy, but the seconds cannot be compared.",
  ].filter((text) => text !== false);
}

/** @param {Group} a @param {Group} b */
function measures(a, b) {
  const rows = MEASURES.flatMap(([name, words]) => {
    const [one, other] = [results(a, name), results(b, name)];
    if (!one.length || !other.length) return [];
    const { difference, low, high } = welch(one, other);
    const interval = Number.isNaN(low) ? "" : ` (${points(low)} to ${points(high)})`;
    return [[words, percent(one), percent(other), points(difference) + interval]];
  });
  return table(["", "A, %", "B, %", "A − B, points (95 % interval)"], rows);
}

/** @param {string[]} head @param {string[][]} rows */
function table(head, rows) {
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head.map((text) => (text ? make("th", { scope: "col" }, text) : make("td"))))),
    make(
      "tbody",
      {},
      ...rows.map(([first, ...others]) =>
        make("tr", {}, make("th", { scope: "row" }, first), ...others.map((text) => make("td", {}, text))),
      ),
    ),
  );
}

/**
 * How many test images both get right, or one of them, or none; nothing where predictions were not kept.
 * @param {Recorded} recorded
 * @param {Group} a
 * @param {Group} b
 */
function agreement(recorded, a, b) {
  const counts = agreed(recorded.agreement, a.id, b.id);
  if (!counts) return [];
  const words = ["both right", "only A right", "only B right", "both wrong"];
  const kinds = ["both", "a", "b", "none"];
  const whole = (/** @type {number} */ count) => Math.round(count).toLocaleString("en");
  const own = [a, b].flatMap((group) => {
    const alone = recorded.agreement[`${group.id} ${group.id}`];
    return alone ? [`two seeds of ${group.recipe} differ on ${whole(alone[1] + alone[2])}`] : [];
  });
  return [
    make("h4", {}, `The same ${a.test_images.toLocaleString("en")} test images, one by one`),
    make(
      "div",
      { class: "runs-agreement", "aria-hidden": "true" },
      ...counts.map((count, i) => make("span", { "data-kind": kinds[i], style: `flex-grow: ${count}` })),
    ),
    make(
      "ul",
      { class: "runs-key" },
      ...counts.map((count, i) => make("li", { "data-kind": kinds[i] }, `${words[i]}: ${whole(count)}`)),
    ),
    make(
      "p",
      {},
      a.runs.length * b.runs.length > 1 && "These are means over every pair of a seed of A and a seed of B. ",
      own.length > 0 && `For comparison, ${own.join(", and ")}.`,
    ),
  ];
}

/**
 * [both right, only A, only B, both wrong], whichever way round the pair was counted.
 * @param {Record<string, number[]>} counted
 * @param {string} a
 * @param {string} b
 */
export function agreed(counted, a, b) {
  const turned = counted[`${b} ${a}`];
  return counted[`${a} ${b}`] ?? (turned && [turned[0], turned[2], turned[1], turned[3]]);
}

/**
 * The fields in which the two recipes differ.
 * @param {Recorded} recorded
 * @param {Group} a
 * @param {Group} b
 */
function differences({ defaults }, a, b) {
  const written = (/** @type {Group} */ group, /** @type {string} */ name) =>
    JSON.stringify(group.fields[name] ?? defaults[name]).replaceAll('"', "");
  const rows = Object.keys(defaults)
    .map((name) => [name.replaceAll("_", " "), written(a, name), written(b, name)])
    .filter(([, one, other]) => one !== other);
  if (!rows.length) return make("p", {}, "Both were trained with the same recipe.");
  return make("div", {}, make("h4", {}, "What differs in the recipes"), table(["", "A", "B"], rows));
}

/**
 * Mean and spread over the seeds, epoch by epoch.
 * @param {Group} group
 * @param {Quantity} name
 * @param {number} factor
 * @returns {Epoch[]}
 */
export function byEpoch(group, name, factor) {
  const curves = group.runs.flatMap((run) => (run.history[name] ? [run.history[name]] : []));
  return (curves[0] ?? []).map((_, i) => {
    const values = curves.map((curve) => factor * curve[i]);
    return { epoch: i + 1, mean: mean(values), spread: values.length > 1 ? spread(values) : 0 };
  });
}

/**
 * A dot for each seed's test accuracy, a bar for each side's mean.
 * @param {Group} a
 * @param {Group} b
 * @param {number} width
 */
function strip(a, b, width) {
  const seeds = [a, b].flatMap((group, i) =>
    group.runs.map((run) => ({ side: "AB"[i], share: 100 * (run.results.test_accuracy ?? NaN), seed: run.seed })),
  );
  const means = [a, b].map((group, i) => ({ side: "AB"[i], share: 100 * mean(results(group, "test_accuracy")) }));
  const colored = (/** @type {{ side: string }} */ one) => COLORS["AB".indexOf(one.side)];
  const chart = plot({
    width, height: 120, marginLeft: 28, marginRight: 12, marginBottom: 32, marginTop: 6,
    x: { nice: true, label: null },
    y: { type: "point", domain: ["A", "B"], padding: 0.6, label: null },
    color: { type: "identity" },
    style: { fontSize: "12px" },
    marks: [
      axisX({ ticks: Math.min(8, width / 70), label: null }),
      axisY({ tickSize: 0 }),
      dot(seeds, {
        x: "share", y: "side", stroke: colored, r: 4, strokeWidth: 1.5,
        title: (/** @type {{ seed: number, share: number }} */ one) => `seed ${one.seed}: ${one.share.toFixed(1)} %`,
      }),
      ruleX(means, { x: "share", stroke: colored, strokeWidth: 2, strokeDasharray: "2 3" }),
    ],
  });
  return figure("Test accuracy of each seed, %", chart, "Dots are seeds, lines the means.");
}

/**
 * The difference of the test accuracies with its interval, beside zero; nothing where there is no interval.
 * @param {Group} a
 * @param {Group} b
 * @param {number} width
 */
function intervalChart(a, b, width) {
  const { difference, low, high } = welch(results(a, "test_accuracy"), results(b, "test_accuracy"));
  if (Number.isNaN(low)) return [];
  const found = [{ middle: 100 * difference, low: 100 * low, high: 100 * high }];
  const reach = 1.15 * Math.max(Math.abs(found[0].low), Math.abs(found[0].high), 0.1);
  const chart = plot({
    width, height: 62, marginLeft: 28, marginRight: 12, marginBottom: 24, marginTop: 4,
    x: { domain: [-reach, reach], label: null },
    y: { axis: null },
    style: { fontSize: "12px" },
    marks: [
      axisX({ ticks: Math.min(8, width / 70), label: null }),
      ruleX([0], { stroke: "currentColor", strokeDasharray: "2 3" }),
      ruleY(found, { y: 0, x1: "low", x2: "high", stroke: "currentColor", strokeWidth: 3 }),
      dot(found, { x: "middle", y: 0, r: 6, fill: "currentColor" }),
    ],
  });
  return [figure("A − B, points", chart, "The bar is the 95 % interval. To the left of zero B is better, to the right A.")];
}

/**
 * @param {string} title
 * @param {HTMLElement} chart
 * @param {string} [note]
 */
function figure(title, chart, note = "") {
  for (const part of chart.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label"); // "rule", "dot"
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", `${title}. The numbers stand in the tables below.`);
  return make("figure", {}, make("figcaption", {}, make("strong", {}, title), note && ` ${note}`), chart);
}

/**
 * A chart for each quantity that both sides, or one, recorded by epoch.
 * @param {Group} a
 * @param {Group} b
 * @param {number} space  pixels
 */
function curves(a, b, space) {
  const columns = space >= 600 ? 3 : 1;
  const width = Math.floor((space - 16 * (columns - 1)) / columns);
  return CURVES.flatMap(([name, title, factor]) => {
    const sides = [a, b].map((group) => byEpoch(group, name, factor));
    return sides.some((curve) => curve.length) ? [figure(title, curveChart(sides, width))] : [];
  });
}

/**
 * @param {Epoch[][]} sides
 * @param {number} width
 */
function curveChart(sides, width) {
  const every = sides.flatMap((curve, i) => curve.map((epoch) => ({ ...epoch, side: "AB"[i] })));
  return plot({
    width, height: 180, marginLeft: 34, marginRight: 12, marginTop: 10, marginBottom: 34,
    x: { label: "epoch", domain: [1, Math.max(2, ...every.map((one) => one.epoch))] },
    y: { nice: true, label: null, grid: true },
    style: { fontSize: "12px" },
    marks: [
      axisX({ label: "epoch", labelArrow: "none", ticks: 5, tickFormat: (/** @type {number} */ x) => (Number.isInteger(x) ? x : "") }),
      axisY({ label: null, ticks: 5 }),
      ...sides.map((curve, i) =>
        areaY(curve, {
          x: "epoch", fill: COLORS[i], fillOpacity: 0.18,
          y1: (/** @type {Epoch} */ one) => one.mean - one.spread, y2: (/** @type {Epoch} */ one) => one.mean + one.spread,
        }),
      ),
      ...sides.map((curve, i) =>
        lineY(curve, { x: "epoch", y: "mean", stroke: COLORS[i], strokeWidth: 2, strokeDasharray: i ? "5 3" : "none" }),
      ),
      tip(
        every,
        pointerX({
          x: "epoch", y: "mean", fill: "var(--pst-color-on-background)", stroke: "var(--pst-color-border)",
          title: (/** @type {Epoch & { side: string }} */ one) =>
            `${one.side}, epoch ${one.epoch}: ${one.mean.toPrecision(3)}${one.spread ? ` ± ${one.spread.toPrecision(2)}` : ""}`,
        }),
      ),
    ],
  });
}

/**
 * The curves as numbers, folded.
 * @param {Group} a
 * @param {Group} b
 */
function numbers(a, b) {
  const kept = CURVES.filter(([name]) => [a, b].some((group) => group.runs[0].history[name]));
  const columns = kept.flatMap(([name, title, factor]) =>
    [a, b].map((group, i) => ({
      title: `${title.split(",")[0]}, ${"AB"[i]}`, curve: byEpoch(group, name, factor), decimals: factor > 1 ? 1 : 2,
    })),
  );
  const epochs = Math.max(a.epochs, b.epochs);
  const rows = Array.from({ length: epochs }, (_, i) => [
    String(i + 1),
    ...columns.map(({ curve, decimals }) => (curve[i] ? curve[i].mean.toFixed(decimals) : "–")),
  ]);
  return make(
    "details",
    {},
    make("summary", {}, "The curves as numbers"),
    make("p", {}, "Means over the seeds; accuracy in per cent, losses in nats."),
    make("div", { class: "runs-scroll", tabindex: 0, role: "region", "aria-label": "Curves as numbers" }, table(["epoch", ...columns.map(({ title }) => title)], rows)),
  );
}
