// "How well did you judge?": every prediction that the reader made, beside what was recorded.
import { fetched, instrumentFor } from "./draw.js";
import { average, errors, expectedHits, fits, holds, inSpreads } from "./judging.js";
import { all, areKept, forgetAll } from "./predictions.js";
import { draw as svg, make as html } from "./elements.js";
import { number, scale } from "./svg.js";

/**
 * @typedef {{ id: string, chapter: string, title: string, chapter_title: string }} Listed
 * @typedef {import("./draw.js").Instrument} Instrument @typedef {import("./draw.js").Recorded} Recorded
 * @typedef {{ listed: Listed, question: import("./draw.js").Question, recorded: Recorded, answer: number[],
 *   instrument: Instrument, ratio: number | null }} Judged
 */

const SITE = new URL("../../", import.meta.url);

/** @param {HTMLElement} element */
export async function start(element) {
  /** @type {Listed[]} */
  const index = await fetched("index.json");
  const view = html("div", { class: "judged" });

  /** @type {Instrument[]} */
  let charts = [];
  const lay = () => charts.forEach((chart) => chart.lay(chart.element.clientWidth, false));

  async function show() {
    const predictions = all();
    const shown = index.filter(({ id }) => predictions[id]?.shown);
    const drafts = index.filter(({ id }) => {
      const kept = predictions[id];
      return kept && !kept.shown && Array.isArray(kept.answer) && kept.answer.some((value) => value !== null);
    });
    const compared = await Promise.all(shown.map((listed) => judge(listed, predictions[listed.id].answer)));
    const judged = compared.filter((one) => one !== null);
    const open = index.filter((listed) => !judged.some((one) => one.listed === listed));
    view.replaceChildren(
      ...(judged.length ? found(judged, index.length) : [nothing()]),
      ...toDo(open, drafts, judged.length > 0),
      ...(Object.keys(predictions).length ? [tools(judged, show)] : []),
      ...(areKept() ? [] : [html("p", {}, ["This browser keeps nothing, so this page knows only what was drawn since it was opened."])]),
    );
    if (!view.isConnected) element.replaceChildren(view);
    charts = judged.map(({ instrument }) => instrument);
    lay();
  }

  await show();
  let width = view.clientWidth;
  new ResizeObserver(() => {
    if (view.clientWidth === width) return;
    width = view.clientWidth;
    lay();
  }).observe(view);
  // A browser's button leads back to the page as it was left, and the reader may have answered a question since.
  addEventListener("pageshow", ({ persisted }) => persisted && show());
}

/**
 * An answer beside what was recorded; null if it is none to the question as it is now.
 * @param {Listed} listed @param {unknown} answer @returns {Promise<Judged | null>}
 */
async function judge(listed, answer) {
  const [question, recorded] = await Promise.all([fetched(`${listed.id}.json`), fetched(`${listed.id}.answer.json`)]);
  const instrument = instrumentFor(question, () => {}, () => {});
  if (!fits(answer, instrument.answer().length)) return null;
  instrument.restore(answer);
  if (!instrument.complete()) return null;
  instrument.reveal(recorded);
  const values = /** @type {number[]} */ (answer);
  const compared = question.kind === "number" ? [values[0]] : values;
  const ratio = inSpreads(errors(compared, recorded.mean).average, recorded.spread);
  return { listed, question, recorded, answer: values, instrument, ratio };
}

/** @param {Judged[]} judged @param {number} count */
function found(judged, count) {
  const ranges = judged.filter(({ question }) => question.kind === "number");
  return [
    html("p", {}, [`You have answered ${judged.length} of ${count} questions. Each chart has your answer in orange and what was recorded in blue.`]),
    ...(ranges.length ? calibration(ranges) : []),
    html("h2", {}, ["How far off you were"]),
    html("p", {}, ["Two runs of one recipe with different seeds differ as well, so the smallest error that means anything is about their spread. On the line under each chart, the blue tick is one spread, and your dot is your error."]),
    html("ul", { class: "judged-list" }, judged.map(card)),
  ];
}

/** @param {Judged} judged */
function card({ listed, instrument, recorded, ratio }) {
  return html("li", {}, [
    html("h3", {}, [link(listed, listed.title)]),
    html("p", { class: "draw-small" }, [listed.chapter_title]),
    instrument.element,
    html("p", {}, [instrument.off(recorded)]),
    ...(ratio === null ? [] : [strip(ratio), html("p", { class: "draw-small" }, [times(ratio)])]),
  ]);
}

/** @param {number} ratio */
function times(ratio) {
  if (ratio < 1) return "Nearer than two runs are to one another.";
  return `${number(ratio, ratio < 10 ? 1 : 0)} times the spread between runs.`;
}

/** Where an error lies, in spreads, on a logarithmic line. @param {number} ratio */
function strip(ratio) {
  const x = scale([-1, 2.2], [4, 296]);
  const at = x(Math.min(Math.max(Math.log10(ratio), -1), 2.2));
  return svg("svg", { class: "judged-strip", viewBox: "0 0 300 16", "aria-hidden": "true" }, [
    svg("line", { class: "draw-line", x1: x(-1), x2: x(2.2), y1: 8, y2: 8 }),
    svg("line", { class: "draw-mean", x1: x(0), x2: x(0), y1: 1, y2: 15 }),
    svg("circle", { class: "draw-own-dots", cx: at, cy: 8, r: 5 }),
  ]);
}

/** @param {Judged[]} ranges */
function calibration(ranges) {
  const confidence = Math.max(...ranges.map(({ question }) => (question.kind === "number" ? question.confidence : 0)));
  const hit = ranges.map(({ answer, recorded }) => holds({ low: answer[1], high: answer[2] }, recorded.mean[0]));
  const hits = hit.filter(Boolean).length;
  const { expected, low, high } = expectedHits(ranges.length, confidence / 100);
  const judgement =
    hits < low ? "Your ranges are too narrow: you were surer than you should be."
    : hits > high ? "Your ranges are wider than they need be."
    : "That agrees with what you said, as far as so few ranges can tell.";
  return [
    html("h2", {}, ["How sure you could be"]),
    html("p", { class: "draw-off-words" }, [
      ranges.length > 1
        ? `${hits} of your ${ranges.length} ranges hold${hits === 1 ? "s" : ""} what was recorded.`
        : `Your one range ${hits ? "holds" : "does not hold"} what was recorded.`,
    ]),
    html("p", {}, [
      ranges.length < 3
        ? `You were asked for ranges of which you were ${confidence} % sure. So few of them say little yet: give three or more.`
        : `You were asked for ranges of which you were ${confidence} % sure. Then about ${number(expected, 1)} of ${ranges.length} should hold it, and luck alone can make that ${low} to ${high}. ${judgement}`,
    ]),
    html("ul", { class: "judged-ranges" }, ranges.map((one, i) => row(one, hit[i]))),
  ];
}

/** One range on its own axis. @param {Judged} judged @param {boolean} hit */
function row({ listed, question, answer, recorded }, hit) {
  const [guess, low, high] = answer;
  const x = scale(question.range, [6, 294]);
  return html("li", { class: hit ? "judged-hit" : "judged-miss" }, [
    html("span", {}, [listed.title]),
    svg("svg", { class: "judged-range", viewBox: "0 0 300 24", "aria-hidden": "true" }, [
      svg("line", { class: "draw-grid", x1: 6, x2: 294, y1: 12, y2: 12 }),
      svg("rect", { class: "judged-band", x: x(low), width: Math.max(2, x(high) - x(low)), y: 5, height: 14, rx: 2 }),
      svg("circle", { class: "draw-own-dots", cx: x(guess), cy: 12, r: 4 }),
      svg("line", { class: "draw-mean", x1: x(recorded.mean[0]), x2: x(recorded.mean[0]), y1: 1, y2: 23 }),
    ]),
    html("strong", {}, [hit ? "holds it" : "misses it"]),
  ]);
}

const nothing = () =>
  html("p", {}, ["You have not answered a question yet. Draw what you expect in a chapter, press ", html("em", {}, ["Show what was recorded"]), ", and come back."]);

/** Links to what is still open. @param {Listed[]} open @param {Listed[]} drafts @param {boolean} begun */
function toDo(open, drafts, begun) {
  if (!open.length) return [];
  const chapters = [...new Set(open.map(({ chapter_title }) => chapter_title))];
  return [
    html("h2", {}, [begun ? "Still to answer" : "Where to begin"]),
    html("ul", {}, chapters.map((title) => {
      const here = open.filter((listed) => listed.chapter_title === title);
      const links = here.flatMap((listed, i) => [
        i ? ", " : "", link(listed, listed.title), drafts.includes(listed) ? " (drawn, not yet compared)" : "",
      ]);
      return html("li", {}, [`${title}: `, ...links]);
    })),
  ];
}

/** @param {Listed} listed @param {string} text */
const link = (listed, text) => html("a", { href: new URL(`notebooks/${listed.chapter}.html#draw-${listed.id}`, SITE).href }, [text]);

/** Save and forget. @param {Judged[]} judged @param {() => void} show */
function tools(judged, show) {
  const save = html("button", { type: "button" }, ["Save my predictions (JSON)"]);
  const forget = html("button", { type: "button" }, ["Forget all predictions"]);
  const sure = html("button", { type: "button" }, ["Yes, forget them"]);
  const no = html("button", { type: "button" }, ["No, keep them"]);
  const asked = html("span", {}, ["They cannot be brought back. ", sure, " ", no]);
  asked.hidden = true;
  save.addEventListener("click", () => {
    const content = judged.map(({ listed, question, answer, recorded, ratio }) => ({
      id: listed.id, question: question.prompt, kind: question.kind, unit: question.unit, answer,
      recorded: { mean: recorded.mean, spread: recorded.spread },
      average_error: errors(question.kind === "number" ? [answer[0]] : answer, recorded.mean).average,
      error_in_spreads: ratio, average_spread: average(recorded.spread), answered_on: all()[listed.id]?.on,
    }));
    const file = new Blob([JSON.stringify(content, null, 1)], { type: "application/json" });
    const address = URL.createObjectURL(file);
    html("a", { href: address, download: "my-predictions.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
  /** @param {boolean} asking */
  const ask = (asking) => {
    asked.hidden = !asking;
    forget.hidden = asking;
    (asking ? no : forget).focus();
  };
  forget.addEventListener("click", () => ask(true));
  no.addEventListener("click", () => ask(false));
  sure.addEventListener("click", () => {
    forgetAll();
    show();
  });
  return html("p", { class: "judged-tools" }, [save, " ", forget, asked]);
}
