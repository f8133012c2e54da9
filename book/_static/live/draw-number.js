// One number that the reader guesses, with a range that should hold it, and the recorded values below.
import { clamp, errors, fineness, holds, ticks } from "./judging.js";
import { draw as svg, make as html } from "./elements.js";
import { asSlider, chartRole, distance, moved, number as written, scale, set, words } from "./svg.js";

/** @typedef {import("./draw.js").Single} Single @typedef {import("./draw.js").Instrument} Instrument */
/** @typedef {import("./draw.js").Recorded} Recorded @typedef {import("./judging.js").Sketch} Sketch */

const [GUESS, LOW, HIGH] = [0, 1, 2];

/** @param {Single} question @param {(by: "pen" | "keys") => void} begin @param {() => void} changed @returns {Instrument} */
export function number(question, begin, changed) {
  const { range, unit, confidence } = question;
  const step = fineness(range);
  const decimals = step < 1 ? 1 : 0;
  /** @type {Sketch} The guess, and the ends of its range. */
  let answer = [null, null, null];
  /** @type {Recorded | null} */
  let recorded = null;
  let x = scale([0, 1], [0, 1]);

  const element = html("div", { class: "draw-chart" });
  const band = svg("rect", { class: "draw-band", rx: 3 });
  const handles = ["your guess", `lower end of the range`, `upper end of the range`].map((name, part) => {
    const shape = part === GUESS ? svg("circle", { class: "draw-handle", r: 9 }) : svg("rect", { class: "draw-grip", width: 7, rx: 2 });
    const group = svg("g", { class: "draw-point" }, [shape]);
    return { name, shape, group, native: html("input", { type: "range", min: range[0], max: range[1], step }) };
  });
  const guessLabel = svg("text", { class: "draw-label draw-own-label", "text-anchor": "middle" });
  const rangeLabel = svg("text", { class: "draw-tick draw-range-label", "text-anchor": "middle" });

  const LINE = 78; // where the axis lies
  /** @param {number} width @param {boolean} moving */
  function lay(width, moving) {
    const side = 22;
    x = scale(range, [side, width - side]);
    const height = recorded ? 166 : 128;
    const grid = ticks(range[0], range[1], width >= 560 ? 10 : 5).map((value) =>
      svg("g", {}, [
        svg("line", { class: "draw-grid", x1: x(value), x2: x(value), y1: LINE - 7, y2: LINE + 7 }),
        svg("text", { class: "draw-tick", x: x(value), y: LINE + 28, "text-anchor": "middle" }, [written(value, 0)]),
      ]),
    );
    const pen = svg("rect", { class: "draw-pen", x: 0, y: LINE - 36, width, height: 72 });
    if (!recorded) listen(pen);
    set(band, { y: LINE - 13, height: 26 });
    handles.forEach(({ name, shape, group }, part) => {
      set(shape, part === GUESS ? { cy: LINE } : { y: LINE - 17, height: 34 });
      asSlider(group, !recorded, {
        "aria-label": `${question.axis}, ${name}`, "aria-valuemin": range[0], "aria-valuemax": range[1],
      });
    });
    set(guessLabel, { y: LINE - 24 });
    set(rangeLabel, { y: LINE + 46 });
    const focused = document.activeElement;
    element.replaceChildren(
      svg("svg", { class: recorded ? "draw-svg" : "draw-svg draw-sideways", width, height, viewBox: `0 0 ${width} ${height}`, ...chartRole(question.axis, recorded ? off(recorded) : "") }, [
        svg("text", { class: "draw-axis", x: 0, y: 14 }, [`${question.axis} (${unit})`]),
        svg("line", { class: "draw-line", x1: x(range[0]), x2: x(range[1]), y1: LINE, y2: LINE }),
        ...grid, band, ...(recorded ? truth(recorded, width, moving) : [pen]),
        ...[LOW, HIGH, GUESS].map((part) => handles[part].group), guessLabel, rangeLabel,
      ]),
    );
    const kept = handles.find(({ group }) => group === focused);
    if (kept && !recorded) kept.group.focus({ preventScroll: true });
    update();
  }

  /** @param {Recorded} truth @param {number} width @param {boolean} moving */
  function truth({ runs, mean: [mean] }, width, moving) {
    const y = LINE + 56;
    const at = x(clamp(mean, range[0], range[1]));
    const text = svg("text", { class: "draw-label draw-mean-label", x: clamp(at, 90, width - 90), y: y + 24, "text-anchor": "middle" }, [
      `recorded: ${words(mean, unit, unit === "times" ? 1 : undefined)}`,
    ]);
    return [
      svg("g", { class: moving ? "draw-answer draw-late" : "draw-answer" }, [
        svg("line", { class: "draw-mean", x1: at, x2: at, y1: LINE - 18, y2: y + 6 }),
        ...runs.map(([value]) => svg("circle", { class: "draw-seed", cx: x(clamp(value, range[0], range[1])), cy: y, r: 4 })),
        text,
      ]),
    ];
  }

  /** @param {SVGRectElement} pen */
  function listen(pen) {
    /** @type {number | null} */
    let held = null;
    const value = (/** @type {PointerEvent} */ event) => {
      const box = /** @type {SVGElement} */ (pen.ownerSVGElement).getBoundingClientRect();
      return x.inverse(event.clientX - box.left);
    };
    pen.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      if (event.pointerType === "mouse") event.preventDefault();
      pen.setPointerCapture(event.pointerId);
      begin("pen");
      held = nearest(value(event));
      put(held, value(event));
    });
    pen.addEventListener("pointermove", (event) => held !== null && put(held, value(event)));
    for (const end of ["pointerup", "pointercancel"]) pen.addEventListener(end, () => (held = null));
  }

  /** The handle that a press means. @param {number} value */
  function nearest(value) {
    if (answer[GUESS] === null) return GUESS;
    const away = shown().map((place) => Math.abs(place - value));
    // Beside the guess a press means an end of the range, so that two handles at one place can be parted.
    if (away[GUESS] <= 0.02 * (range[1] - range[0])) return GUESS;
    return away[LOW] < away[HIGH] ? LOW : HIGH;
  }

  /** Where the handles stand: until the range is set, it is a proposal around the guess. */
  function shown() {
    const guess = answer[GUESS] ?? (range[0] + range[1]) / 2;
    const reach = 0.06 * (range[1] - range[0]);
    const proposed = [guess, guess - reach, guess + reach];
    return answer.map((value, part) => clamp(value ?? proposed[part], range[0], range[1]));
  }

  /** @param {number} part @param {number} value */
  function put(part, value) {
    const rounded = clamp(Number((Math.round(value / step) * step).toFixed(6)), range[0], range[1]);
    const next = shown().map((old) => Number((Math.round(old / step) * step).toFixed(6)));
    next[part] = rounded;
    if (part === LOW) next[GUESS] = Math.max(next[GUESS], rounded);
    if (part === HIGH) next[GUESS] = Math.min(next[GUESS], rounded);
    next[LOW] = Math.min(next[LOW], next[GUESS]);
    next[HIGH] = Math.max(next[HIGH], next[GUESS]);
    const ranged = part !== GUESS || answer[LOW] !== null;
    answer = ranged ? next : [next[GUESS], null, null];
    update();
    changed();
  }

  handles.forEach(({ group, native }, part) => {
    group.addEventListener("keydown", (event) => {
      if (recorded) return;
      const next = moved(event, shown()[part], range, step);
      if (next === null) return;
      event.preventDefault();
      begin("keys");
      put(part, next);
    });
    native.addEventListener("input", () => {
      begin("keys");
      put(part, Number(native.value));
    });
  });

  function update() {
    const values = shown();
    const begun = answer[GUESS] !== null;
    const ranged = answer[LOW] !== null;
    handles.forEach(({ shape, group, native }, part) => {
      const at = x(values[part]);
      set(shape, part === GUESS ? { cx: at } : { x: at - 3.5 });
      const text = answer[part] === null ? "not set" : words(values[part], unit, decimals);
      if (!recorded) set(group, { "aria-valuenow": Number(values[part].toFixed(3)), "aria-valuetext": text });
      group.classList.toggle("draw-away", !begun && part !== GUESS);
      group.classList.toggle("draw-proposed", begun && !ranged && part !== GUESS);
      native.value = String(values[part]);
      native.setAttribute("aria-valuetext", text);
    });
    handles[GUESS].shape.classList.toggle("draw-waiting", !begun);
    set(band, { x: x(values[LOW]), width: x(values[HIGH]) - x(values[LOW]) });
    band.classList.toggle("draw-away", !begun);
    band.classList.toggle("draw-proposed", begun && !ranged);
    const width = x(range[1]) + 22;
    const room = ranged ? 118 : 70;
    set(guessLabel, { x: clamp(x(values[GUESS]), room, width - room) });
    guessLabel.textContent = !begun
      ? "drag to your guess"
      : `your guess: ${words(values[GUESS], unit, decimals)}${ranged ? `, from ${written(values[LOW], decimals)} to ${written(values[HIGH], decimals)}` : ""}`;
    set(rangeLabel, { x: clamp(x(values[GUESS]), 110, width - 110) });
    rangeLabel.textContent = begun && !ranged ? "now pull the ends of the range" : "";
  }

  /** @param {Recorded} truth */
  function off(truth) {
    const [guess, low, high] = shown();
    const found = errors([guess], truth.mean);
    const side = found.worst > 0 ? "too high" : "too low";
    const words = found.average < step / 2 ? "Your guess is right." : `Your guess is ${distance(found.average, unit)} ${side}.`;
    return `${words} Your ${confidence} % range ${holds({ low, high }, truth.mean[0]) ? "holds" : "does not hold"} what was recorded.`;
  }

  return {
    element,
    sliders: handles.map(({ name, native }) => html("label", {}, [`${name[0].toUpperCase()}${name.slice(1)} `, native])),
    lay,
    answer: () => answer,
    complete: () => answer.every((value) => value !== null),
    restore(kept) {
      answer = [...kept];
      update();
    },
    reveal(truth) {
      recorded = truth;
    },
    status() {
      if (answer[GUESS] === null) return "Press the line at your guess, or set the handle with the arrow keys.";
      const range = `that you are ${confidence} % sure holds what was recorded`;
      return answer[LOW] === null ? `Now pull its ends out to a range ${range}.` : `Your range should be one ${range}.`;
    },
    off,
    caption: (truth) => `Line: the mean of ${truth.runs.length} recorded runs. Dots: each of them.`,
  };
}
