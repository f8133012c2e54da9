// Bars that the reader sets, one value for each, and the recorded values beside them.
import { clamp, errors, fineness, ticks } from "./judging.js";
import { draw as svg, make as html } from "./elements.js";
import { asSlider, chartRole, distance, moved, number, scale, set, words } from "./svg.js";

/** @typedef {import("./draw.js").Bars} Bars @typedef {import("./draw.js").Instrument} Instrument */
/** @typedef {import("./draw.js").Recorded} Recorded @typedef {import("./judging.js").Sketch} Sketch */

/** @param {Bars} question @param {(by: "pen" | "keys") => void} begin @param {() => void} changed @returns {Instrument} */
export function bars(question, begin, changed) {
  const { range, unit } = question;
  const step = fineness(range);
  const solid = range[0] <= 0; // a bar that does not begin at zero would deceive: then only its end is drawn
  const asked = question.bars.filter((bar) => bar.given === undefined);
  /** @type {Sketch} */
  let heights = asked.map(() => null);
  /** @type {Recorded | null} */
  let recorded = null;
  let x = scale([0, 1], [0, 1]);

  const element = html("div", { class: "draw-chart" });
  const rows = asked.map(({ label }) => ({
    label,
    bar: svg("rect", { class: "draw-bar" }),
    grip: svg("rect", { class: "draw-grip", width: 5, rx: 2 }),
    value: svg("text", { class: "draw-label draw-own-label" }),
    slider: svg("g"),
    native: html("input", { type: "range", min: range[0], max: range[1], step }),
  }));

  /** @param {number} width @param {boolean} moving */
  function lay(width, moving) {
    const wide = width >= 560;
    const longest = Math.max(...question.bars.map(({ label }) => label.length));
    const [left, right, top] = [wide ? longest * 7.6 + 16 : 4, wide ? 70 : 62, 44];
    const thick = recorded ? 34 : 28;
    const tall = thick + (wide ? 18 : 34);
    x = scale(range, [left, width - right]);
    const height = top + question.bars.length * tall + 4;
    const zero = x(clamp(0, range[0], range[1]));
    const grid = ticks(range[0], range[1], wide ? 7 : 4).map((value) =>
      svg("g", {}, [
        svg("line", { class: "draw-grid", x1: x(value), x2: x(value), y1: top - 4, y2: height }),
        svg("text", { class: "draw-tick", x: x(value), y: top - 10, "text-anchor": "middle" }, [number(value, 0)]),
      ]),
    );
    const truth = recorded;
    let next = 0;
    const drawn = question.bars.map(({ label, given }, i) => {
      const y = top + i * tall + (wide ? 6 : 24);
      const name = svg("text", {
        class: "draw-name", x: wide ? left - 10 : left, y: wide ? y + thick / 2 + 4 : y - 6, "text-anchor": wide ? "end" : "start",
      }, [label]);
      if (given !== undefined) {
        return svg("g", {}, [
          name,
          svg("rect", { class: "draw-given", ...extent(x(given), zero), y, height: thick }),
          svg("text", { class: "draw-label draw-context-label", x: x(given) + 6, y: y + thick / 2 + 4 }, [words(given, unit)]),
        ]);
      }
      const place = next++;
      const row = rows[place];
      const half = truth ? thick / 2 : thick;
      set(row.bar, { y, height: half });
      set(row.grip, { y: y - 3, height: half + 6 });
      set(row.value, { y: y + half / 2 + 4 });
      const track = svg("rect", { class: "draw-track", x: left, y, width: width - left - right, height: thick });
      const pen = svg("rect", { class: "draw-pen", x: left, y: y - 6, width: width - left - 2, height: thick + 12 });
      row.slider.replaceChildren(...(truth ? [row.bar, row.value] : [track, row.bar, row.grip, row.value, pen]));
      asSlider(row.slider, !truth, {
        "aria-label": `${question.axis}, ${label}`, "aria-valuemin": range[0], "aria-valuemax": range[1],
      });
      if (!truth) listen(pen, place);
      return svg("g", {}, [name, row.slider, ...(truth ? answer(truth, place, zero, y + half, half, moving) : [])]);
    });
    const focused = document.activeElement;
    element.replaceChildren(
      svg("svg", { class: recorded ? "draw-svg" : "draw-svg draw-sideways", width, height, viewBox: `0 0 ${width} ${height}`, ...chartRole(question.axis, recorded ? off(recorded) : "") }, [
        svg("text", { class: "draw-axis", x: 0, y: 14 }, [`${question.axis} (${unit})`]),
        ...grid,
        ...(solid ? [svg("line", { class: "draw-zero", x1: zero, x2: zero, y1: top - 4, y2: height })] : []),
        ...drawn,
      ]),
    );
    const kept = rows.find(({ slider }) => slider === focused);
    if (kept && !truth) kept.slider.focus({ preventScroll: true });
    update();
  }

  /** Where a bar begins and how long it is. @param {number} end @param {number} zero */
  const extent = (end, zero) => (solid ? { x: zero, width: Math.max(0, end - zero) } : { x: end - 2, width: 4 });

  /**
   * @param {Recorded} truth @param {number} place @param {number} zero @param {number} y @param {number} thick
   * @param {boolean} moving
   */
  function answer({ runs, mean }, place, zero, y, thick, moving) {
    const far = Math.max(...runs.map((row) => row[place]), mean[place]);
    return [
      svg("g", { class: moving ? "draw-answer draw-moving" : "draw-answer" }, [
        svg("rect", { class: "draw-truth", ...extent(x(mean[place]), zero), y, height: thick }),
        ...runs.map((row) => svg("circle", { class: "draw-seed", cx: x(row[place]), cy: y + thick / 2, r: 3 })),
        svg("text", { class: "draw-label draw-mean-label", x: x(far) + 8, y: y + thick / 2 + 5 }, [words(mean[place], unit)]),
      ]),
    ];
  }

  /** @param {SVGRectElement} pen @param {number} place */
  function listen(pen, place) {
    let pressed = false;
    const follow = (/** @type {PointerEvent} */ event) => {
      const box = /** @type {SVGElement} */ (pen.ownerSVGElement).getBoundingClientRect();
      put(place, x.inverse(event.clientX - box.left));
    };
    pen.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      if (event.pointerType === "mouse") event.preventDefault();
      pen.setPointerCapture(event.pointerId);
      pressed = true;
      begin("pen");
      follow(event);
    });
    pen.addEventListener("pointermove", (event) => pressed && follow(event));
    for (const end of ["pointerup", "pointercancel"]) pen.addEventListener(end, () => (pressed = false));
  }

  /** @param {number} place @param {number} value */
  function put(place, value) {
    const rounded = Number((Math.round(value / step) * step).toFixed(6));
    heights = heights.map((old, i) => (i === place ? clamp(rounded, range[0], range[1]) : old));
    update();
    changed();
  }

  rows.forEach(({ slider, native }, place) => {
    slider.addEventListener("keydown", (event) => {
      if (recorded) return;
      const next = moved(event, heights[place] ?? middle(), range, step);
      if (next === null) return;
      event.preventDefault();
      begin("keys");
      put(place, next);
    });
    native.addEventListener("input", () => {
      begin("keys");
      put(place, Number(native.value));
    });
  });

  const middle = () => Math.round((range[0] + range[1]) / 2);

  function update() {
    const zero = x(clamp(0, range[0], range[1]));
    rows.forEach(({ bar, grip, value, slider, native }, place) => {
      const height = heights[place];
      const end = height === null ? zero : x(height);
      set(bar, height === null ? { width: 0 } : extent(end, zero));
      set(grip, { x: end - 2.5 });
      set(value, { x: end + 8 });
      value.textContent = height === null ? "drag" : recorded ? `you: ${number(height, step < 1 ? 1 : 0)}` : words(height, unit, step < 1 ? 1 : 0);
      value.classList.toggle("draw-unset", height === null);
      const text = height === null ? "not set" : words(height, unit, step < 1 ? 1 : 0);
      if (!recorded) set(slider, { "aria-valuenow": height ?? middle(), "aria-valuetext": text });
      native.value = String(height ?? middle());
      native.setAttribute("aria-valuetext", text);
    });
  }

  /** @param {Recorded} truth */
  function off(truth) {
    const found = errors(/** @type {number[]} */ (heights), truth.mean);
    const side = found.worst > 0 ? "too high" : "too low";
    return `On average over the bars you were ${distance(found.average, unit)} off, and furthest at “${asked[found.at].label}”: ${distance(Math.abs(found.worst), unit)} ${side}.`;
  }

  return {
    element,
    sliders: rows.map(({ label, native }) => html("label", {}, [`${label} `, native])),
    lay,
    answer: () => heights,
    complete: () => heights.every((height) => height !== null),
    restore(answer) {
      heights = [...answer];
      update();
    },
    reveal(truth) {
      recorded = truth;
    },
    status() {
      const left = asked.filter((_, i) => heights[i] === null).map(({ label }) => label);
      if (left.length === asked.length) return "Drag each bar to where you expect it, or set it with the arrow keys.";
      return left.length ? `Not set yet: ${left.join(", ")}.` : "Complete. Drag a bar to change it.";
    },
    off,
    caption: (truth) => `Blue: the mean of ${truth.runs.length} recorded runs. Dots: each of them.`,
  };
}
