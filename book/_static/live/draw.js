// Draw, then see: the reader answers a question about an experiment, and only then sees what was recorded.
// Until then the rest of the section, which shows it, is folded.
import { bars } from "./draw-bars.js";
import { curve } from "./draw-curve.js";
import { number } from "./draw-number.js";
import { average, fits, inSpreads } from "./judging.js";
import { all, areKept, keep } from "./predictions.js";
import { make as html } from "./elements.js";
import { distance } from "./svg.js";

/**
 * @typedef {import("./judging.js").Sketch} Sketch
 * @typedef {{ id: string, chapter: string, title: string, prompt: string, axis: string, unit: string,
 *   range: [number, number] }} Common
 * @typedef {Common & { kind: "curve", epochs: number, context: { label: string, values: number[] }[],
 *   marks: { after: number[], label: string } }} Curve
 * @typedef {Common & { kind: "bars", bars: { label: string, given?: number }[] }} Bars
 * @typedef {Common & { kind: "number", confidence: number }} Single
 * @typedef {Curve | Bars | Single} Question  as book/_ext/live_draw.py writes it
 * @typedef {{ runs: number[][], mean: number[], spread: number[], why: string }} Recorded
 *
 * @typedef {object} Instrument  what the reader draws with
 * @property {HTMLElement} element
 * @property {HTMLElement[]} sliders  the same controls as ordinary sliders
 * @property {(width: number, moving: boolean) => void} lay  draws everything anew, so many pixels wide
 * @property {() => Sketch} answer
 * @property {() => boolean} complete
 * @property {(answer: Sketch) => void} restore
 * @property {(recorded: Recorded | null) => void} reveal  what the next `lay` shows
 * @property {() => string} status  what is still to do
 * @property {(recorded: Recorded) => string} off  how far off the answer is
 * @property {(recorded: Recorded) => string} caption
 */

const DATA = new URL("data/draw/", import.meta.url);

/** @param {string} name */
export async function fetched(name) {
  const answer = await fetch(new URL(name, DATA));
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status}`);
  return answer.json();
}

/** @param {Question} question @param {(by: "pen" | "keys") => void} begin @param {() => void} changed */
export function instrumentFor(question, begin, changed) {
  if (question.kind === "curve") return curve(question, begin, changed);
  return question.kind === "bars" ? bars(question, begin, changed) : number(question, begin, changed);
}

/** @param {HTMLElement} element */
export async function start(element) {
  const id = element.dataset.question ?? "";
  /** @type {Question} */
  const question = await fetched(`${id}.json`);
  const earlier = all()[id];
  /** @type {{ answer: Sketch, by: string, time: number }[]} */
  const history = [];
  /** @type {Recorded | null} */
  let recorded = null;
  let again = false; // what is drawn now does not replace the first answer

  const instrument = instrumentFor(
    question,
    (by) => {
      const last = history.at(-1);
      const time = Date.now();
      // Keys pressed in a row are undone together.
      if (by === "keys" && last?.by === "keys" && time - last.time < 1500) last.time = time;
      else history.push({ answer: [...instrument.answer()], by, time });
    },
    () => {
      refresh();
      if (!again && instrument.answer().some((value) => value !== null)) keep(id, { answer: instrument.answer(), shown: false });
    },
  );
  const empty = [...instrument.answer()];

  const show = html("button", { type: "button", class: "draw-show" }, ["Show what was recorded"]);
  const undo = html("button", { type: "button" }, ["Undo"]);
  const redo = html("button", { type: "button" }, ["Draw again"]);
  const status = html("p", { class: "draw-status", id: `draw-${id}-status` });
  const result = html("div", { class: "draw-result", "aria-live": "polite" });
  const sliders = html("details", { class: "draw-sliders" }, [html("summary", {}, ["Set it with sliders"]), ...instrument.sliders]);
  show.setAttribute("aria-describedby", status.id);
  const heading = html("p", { class: "draw-title" }, [html("span", {}, ["Draw, then see"]), question.title]);
  const part = html("section", { class: "draw-part", "aria-label": `Draw, then see: ${question.title}` }, [
    heading,
    html("p", { class: "draw-prompt" }, [question.prompt]),
    instrument.element,
    status,
    sliders,
    result,
    html("div", { class: "draw-buttons" }, [show, undo, redo]),
  ]);

  function refresh() {
    const done = recorded !== null;
    show.hidden = undo.hidden = sliders.hidden = status.hidden = done;
    redo.hidden = !done;
    show.disabled = !instrument.complete();
    undo.disabled = history.length === 0;
    status.textContent = instrument.status();
  }

  let width = 0;
  /** @param {boolean} moving */
  function lay(moving) {
    width = instrument.element.clientWidth;
    if (width) instrument.lay(width, moving); // it has none while it is folded away: the observer waits for that
  }

  /** @param {boolean} moving */
  async function reveal(moving) {
    /** @type {Recorded} */
    const truth = await fetched(`${id}.answer.json`);
    recorded = truth;
    instrument.reveal(truth);
    lay(moving);
    refresh();
    fold.open();
    const spreads = inSpreads(1, truth.spread) === null ? "The runs do not differ." : `The runs themselves spread by ${distance(average(truth.spread), question.unit)} over their seeds.`;
    result.replaceChildren(
      html("p", { class: "draw-off-words" }, [instrument.off(truth)]),
      html("p", {}, [html("strong", {}, ["Why: "]), truth.why]),
      html("p", { class: "draw-small" }, [`${instrument.caption(truth)} ${spreads} `, ...kept()]),
    );
  }

  function kept() {
    const page = html("a", { href: new URL("../../book/how-well-did-you-judge.html", import.meta.url).href }, ["How well did you judge?"]);
    if (!areKept()) return ["This browser keeps nothing, so your answer lasts until you leave the page."];
    return [again ? "Your first answer is the one that counts: " : "Your answer is kept in this browser: ", page];
  }

  show.addEventListener("click", async () => {
    show.disabled = true;
    try {
      await reveal(!matchMedia("(prefers-reduced-motion: reduce)").matches);
    } catch (error) {
      console.error(error);
      result.textContent = "What was recorded could not be loaded. Your answer is kept: try again.";
      refresh();
      return;
    }
    const today = new Date().toLocaleDateString("sv"); // as 2026-05-31, by the reader's own clock
    if (!again) keep(id, { answer: [...instrument.answer()], shown: true, on: today });
    redo.focus({ preventScroll: true });
  });

  function back() {
    const last = history.pop();
    if (last) instrument.restore(last.answer);
    refresh();
    if (!again) keep(id, { answer: instrument.answer(), shown: false });
  }
  undo.addEventListener("click", back);
  part.addEventListener("keydown", (event) => {
    if (!recorded && event.key === "z" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      back();
    }
  });

  redo.addEventListener("click", () => {
    again = true;
    recorded = null;
    history.length = 0;
    instrument.reveal(null);
    instrument.restore(empty);
    result.replaceChildren();
    lay(false);
    refresh();
    /** @type {HTMLElement | null} */ (instrument.element.querySelector("[tabindex='0']"))?.focus({ preventScroll: true });
  });

  const fold = inPlace(element.parentElement, () => {
    const fold = folded(element, id);
    element.replaceChildren(part);
    element.after(fold.element);
    lay(false);
    return fold;
  });
  new ResizeObserver(() => {
    if (instrument.element.clientWidth !== width) lay(false);
  }).observe(instrument.element);
  const usable = fits(earlier?.answer, empty.length);
  if (usable) instrument.restore(earlier.answer);
  refresh();
  if (!usable || !earlier.shown || !instrument.complete()) return;
  try {
    await reveal(false);
  } catch (error) {
    console.error(error);
    again = true; // the answer has been compared: it stays, even if what was recorded cannot be seen now
    result.textContent = "What was recorded could not be loaded. Your answer is kept: try again.";
    refresh();
  }
}

/**
 * Makes a change within a section, after which the reader is still where they were: at what has the focus there, or
 * else at what stood in the middle of the window.
 * @template T @param {Element | null} section @param {() => T} change
 */
function inPlace(section, change) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const seen = section?.contains(focused) ? focused : document.elementFromPoint(innerWidth / 2, innerHeight / 2);
  const top = () => seen?.getBoundingClientRect().top ?? 0;
  const before = top();
  const made = change();
  focused?.focus({ preventScroll: true }); // an element that is moved loses it
  if (seen?.getClientRects().length) scrollBy({ top: top() - before, behavior: "instant" });
  return made;
}

/**
 * Folds what follows in the section, until `open`. A link or a search that leads inside opens it too, and where the
 * reader is there already, because the part started late, it stays open.
 * @param {HTMLElement} element @param {string} id
 */
function folded(element, id) {
  const reading = element.getBoundingClientRect().bottom < 0 && (element.parentElement?.getBoundingClientRect().bottom ?? 0) > 0;
  const focused = document.activeElement;
  const inside = html("div", { class: "draw-folded", id: `draw-${id}-answer` });
  while (element.nextSibling) inside.append(element.nextSibling);
  const button = html("button", { type: "button", "aria-expanded": "false", "aria-controls": inside.id }, ["Open it without drawing"]);
  const note = html("p", { class: "draw-fold" }, ["The rest of this section shows what was recorded. It opens when you have drawn. ", button]);
  const fold = html("div", {}, [note, inside]);
  inside.setAttribute("hidden", "until-found");
  inside.classList.toggle("draw-findable", "onbeforematch" in inside); // elsewhere it is hidden from searches too
  const open = () => {
    note.remove();
    inside.removeAttribute("hidden");
  };
  inside.addEventListener("beforematch", open);
  button.addEventListener("click", () => {
    open();
    inside.tabIndex = -1; // the button is gone: who reads by keys or by ear goes on here
    inside.focus({ preventScroll: true });
  });
  const arrive = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && inside.contains(target)) {
      open();
      target.scrollIntoView();
    }
  };
  if (reading || inside.contains(focused)) open();
  addEventListener("hashchange", arrive);
  queueMicrotask(arrive);
  return { element: fold, open };
}
