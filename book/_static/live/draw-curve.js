// A curve that the reader draws, one value per epoch, and the recorded curves over it.
import { bridged, clamp, errors, extent, fineness, isComplete, rounded, spaced, stroke, ticks } from "./judging.js";
import { draw as svg, make as html } from "./elements.js";
import { chartRole, distance, moved, number, path, scale, set, words } from "./svg.js";

/** @typedef {import("./draw.js").Curve} Curve @typedef {import("./draw.js").Instrument} Instrument */
/** @typedef {import("./draw.js").Recorded} Recorded @typedef {import("./judging.js").Sketch} Sketch */

/** @param {Curve} question @param {(by: "pen" | "keys") => void} begin @param {() => void} changed @returns {Instrument} */
export function curve(question, begin, changed) {
  const { epochs, range, unit } = question;
  const step = fineness(range);
  /** @type {Sketch} */
  let sketch = Array(epochs).fill(null);
  /** @type {Recorded | null} */
  let recorded = null;
  let at = 0; // the epoch that the keys move

  const element = html("div", { class: "draw-chart" });
  const own = svg("path", { class: "draw-own" });
  const dots = svg("g", { class: "draw-own-dots" });
  const missing = [0, 1].map(() => svg("rect", { class: "draw-missing" }));
  const hint = svg("text", { class: "draw-hint", "text-anchor": "middle" });
  const handle = svg("circle", {
    class: "draw-handle", r: 9, role: "slider", tabindex: 0, "aria-orientation": "vertical",
    "aria-valuemin": range[0], "aria-valuemax": range[1],
    "aria-description": "Up and down change the value, left and right go to another epoch.",
  });
  let [x, y] = [scale([0, 1], [0, 1]), scale([0, 1], [0, 1])];

  /** @param {number} width @param {boolean} moving */
  function lay(width, moving) {
    const wide = width >= 560;
    const height = Math.round(clamp(width * 0.52, 250, 400));
    const [left, right, top, bottom] = [unit === "nats" ? 40 : 34, wide ? 112 : 12, wide || !question.context.length && !recorded ? 34 : 54, height - 38];
    x = scale([0, epochs - 1], [left + 10, width - right - 10]);
    y = scale(range, [bottom, top]);
    const lines = ticks(range[0], range[1], wide ? 6 : 5).map((value) =>
      svg("g", {}, [
        svg("line", { class: "draw-grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        svg("text", { class: "draw-tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, [
          number(value, Number.isInteger(value) ? 0 : 1),
        ]),
      ]),
    );
    const steps = epochs <= 10 ? Array.from({ length: epochs }, (_, i) => i + 1) : [1, ...ticks(2, epochs, 7)];
    const below = steps.map((epoch) =>
      svg("text", { class: "draw-tick", x: x(epoch - 1), y: bottom + 18, "text-anchor": "middle" }, [String(epoch)]),
    );
    const marks = question.marks.after.map((epoch, i) =>
      svg("g", {}, [
        svg("line", { class: "draw-mark", x1: x(epoch - 0.5), x2: x(epoch - 0.5), y1: top, y2: bottom }),
        ...(i ? [] : [svg("text", { class: "draw-tick", x: x(epoch - 0.5) + 4, y: bottom - 6 }, [question.marks.label])]),
      ]),
    );
    const given = question.context.map(({ values }) =>
      svg("path", { class: "draw-context", d: path(values.map((value, i) => [x(i), y(value)])) }),
    );
    const pen = svg("rect", { class: "draw-pen", x: left, y: top - 8, width: width - left - right, height: bottom - top + 16 });
    listen(pen);
    missing.forEach((part) => set(part, { y: top, height: bottom - top }));
    set(hint, { x: (x(0) + x(epochs - 1)) / 2, y: free(top, bottom) });
    const root = svg("svg", { class: recorded ? "draw-svg" : "draw-svg draw-anyway", width, height, viewBox: `0 0 ${width} ${height}`, ...chartRole(question.axis, recorded ? off(recorded) : "") }, [
      svg("text", { class: "draw-axis", x: 0, y: 14 }, [unit === "nats" ? `${question.axis} (nats)` : `${question.axis} (${unit})`]),
      svg("text", { class: "draw-axis", x: x(epochs - 1), y: bottom + 34, "text-anchor": "end" }, ["epoch"]),
      ...lines, ...below, ...marks, ...given,
      ...(recorded ? answer(recorded, wide, moving) : [...missing, hint]),
      own, dots,
      ...labels(width, wide, top, bottom),
      ...(recorded ? [] : [pen, handle]),
    ]);
    const focused = document.activeElement === handle;
    element.replaceChildren(root);
    if (focused && !recorded) handle.focus({ preventScroll: true });
    update();
  }

  /**
   * The recorded runs, and how far the sketch is from them.
   * @param {Recorded} truth @param {boolean} wide @param {boolean} moving
   */
  function answer({ runs, mean }, wide, moving) {
    const line = (/** @type {number[]} */ values, /** @type {string} */ name) =>
      svg("path", { class: name, d: path(values.map((value, i) => [x(i), y(value)])) });
    const drawn = /** @type {number[]} */ (bridged(sketch));
    const { worst, at: place } = errors(drawn, mean);
    const between = [...drawn.map((value, i) => [x(i), y(value)]), ...mean.map((value, i) => [x(i), y(value)]).reverse()];
    const middle = (y(drawn[place]) + y(mean[place])) / 2;
    const early = place < epochs / 2;
    const furthest = !wide || Math.abs(y(drawn[place]) - y(mean[place])) < 24 ? [] : [
      svg("line", { class: "draw-off", x1: x(place), x2: x(place), y1: y(drawn[place]), y2: y(mean[place]) }),
      svg("text", { class: "draw-off-label", x: x(place) + (early ? 6 : -6), y: middle + 4, "text-anchor": early ? "start" : "end" }, [
        distance(Math.abs(worst), unit),
      ]),
    ];
    const shown = svg("g", { class: moving ? "draw-answer draw-moving" : "draw-answer" }, [
      svg("path", { class: "draw-between", d: `${path(/** @type {[number, number][]} */ (between))}Z` }),
      ...runs.map((values) => line(values, "draw-run")),
      line(mean, "draw-mean"),
    ]);
    return [shown, svg("g", { class: moving ? "draw-late" : "" }, furthest)];
  }

  /** A height for the hint, as far as possible from the given lines. @param {number} top @param {number} bottom */
  function free(top, bottom) {
    const lines = question.context.flatMap(({ values }) => values.map((value) => y(value)));
    const room = (/** @type {number} */ place) => Math.min(Infinity, ...lines.map((line) => Math.abs(line - place)));
    const places = [0.78, 0.22, 0.5].map((share) => top + (bottom - top) * share);
    return places.reduce((best, place) => (room(place) > room(best) ? place : best));
  }

  /** The names of the lines. @param {number} width @param {boolean} wide @param {number} top @param {number} bottom */
  function labels(width, wide, top, bottom) {
    const last = epochs - 1;
    const named = question.context.map(({ label, values }) => ({ text: label, kind: "draw-context", value: values[last] }));
    const drawn = bridged(sketch)[last];
    if (recorded && drawn !== null) {
      named.push({ text: "your sketch", kind: "draw-own", value: drawn });
      named.push({ text: "recorded", kind: "draw-mean", value: recorded.mean[last] });
    }
    if (wide) {
      const places = spaced(named.map(({ value }) => y(value) + 4), 17, top, bottom - 2);
      return named.map(({ text, kind }, i) => svg("text", { class: `draw-label ${kind}-label`, x: width - 108, y: places[i] }, [text]));
    }
    // A narrow chart has no room beside the lines: their names stand above it, in their colours.
    const line = svg("text", { class: "draw-label", x: 0, y: 34 });
    named.forEach(({ text, kind }, i) => line.append(svg("tspan", { class: `${kind}-label`, dx: i ? 14 : 0 }, [text])));
    return [line];
  }

  /** @param {SVGRectElement} pen */
  function listen(pen) {
    const point = (/** @type {PointerEvent} */ event) => {
      const box = /** @type {SVGElement} */ (pen.ownerSVGElement).getBoundingClientRect();
      return {
        x: clamp(x.inverse(event.clientX - box.left), 0, epochs - 1),
        y: clamp(y.inverse(event.clientY - box.top), range[0], range[1]),
      };
    };
    /** @type {import("./judging.js").Point | null} */
    let before = null;
    pen.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      event.preventDefault();
      pen.setPointerCapture(event.pointerId);
      begin("pen");
      before = point(event);
      draw(before, before);
    });
    pen.addEventListener("pointermove", (event) => {
      if (!before) return;
      for (const part of event.getCoalescedEvents?.() ?? [event]) {
        const next = point(part);
        draw(before, next);
        before = next;
      }
    });
    const lift = () => {
      if (!before) return;
      before = null;
      sketch = rounded(sketch, Math.floor(epochs / 20));
      update();
      changed();
    };
    pen.addEventListener("pointerup", lift);
    pen.addEventListener("pointercancel", lift);
  }

  /** @param {import("./judging.js").Point} from @param {import("./judging.js").Point} to */
  function draw(from, to) {
    sketch = stroke(sketch, from, to);
    at = Math.round(to.x);
    update();
    changed();
  }

  handle.addEventListener("keydown", (event) => {
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = sideways ? null : moved(event, valueAt(at), range, step);
    if ((!sideways && next === null) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    begin("keys");
    if (sideways) {
      const value = valueAt(at);
      put(at, value);
      const to = clamp(at + sideways * (event.shiftKey ? 5 : 1), 0, epochs - 1);
      // Going on over epochs without a value draws on at the same height.
      if (bridged(sketch)[to] === null) sketch = stroke(sketch, { x: at, y: value }, { x: to, y: value });
      at = to;
    } else put(at, /** @type {number} */ (next));
    update();
    changed();
  });

  /** @param {number} epoch @param {number} value */
  function put(epoch, value) {
    sketch = sketch.map((old, i) => (i === epoch ? value : old));
  }

  /** The value of an epoch, or where a hand would begin. @param {number} epoch */
  function valueAt(epoch) {
    const filled = bridged(sketch);
    const drawn = filled.filter((value) => value !== null);
    return filled[epoch] ?? (sketch[0] === null ? drawn[0] : drawn.at(-1)) ?? (range[0] + range[1]) / 2;
  }

  function update() {
    const filled = bridged(sketch);
    const places = /** @type {([number, number] | null)[]} */ (filled.map((value, i) => value !== null && [x(i), y(value)]).map((place) => place || null));
    set(own, { d: path(places) });
    dots.replaceChildren(...(epochs > 12 ? [] : places.flatMap((place) => (place ? [svg("circle", { cx: place[0], cy: place[1], r: 4 })] : []))));
    const { first, last } = extent(filled);
    set(missing[0], { x: x(0) - 10, width: Math.max(0, first < 0 ? 0 : x(first) - x(0)) });
    set(missing[1], { x: first < 0 ? x(0) - 10 : x(last) + 2, width: first < 0 ? x(epochs - 1) - x(0) + 20 : Math.max(0, x(epochs - 1) - x(last) + 8) });
    missing[1].toggleAttribute("hidden", last === epochs - 1);
    hint.textContent = first < 0 ? `Draw here, from epoch 1 to ${epochs}` : "";
    const value = valueAt(at);
    set(handle, {
      cx: x(at), cy: y(value), "aria-label": `${question.axis}, epoch ${at + 1} of ${epochs}`,
      "aria-valuenow": Number(value.toFixed(3)), "aria-valuetext": words(value, unit),
    });
    handle.classList.toggle("draw-waiting", first < 0);
    setEpoch.value = String(at + 1);
    setEpoch.setAttribute("aria-valuetext", `epoch ${at + 1}`);
    setValue.value = String(value);
    setValue.setAttribute("aria-valuetext", words(value, unit));
  }

  const setEpoch = html("input", { type: "range", min: 1, max: epochs, step: 1 });
  const setValue = html("input", { type: "range", min: range[0], max: range[1], step });
  setEpoch.addEventListener("input", () => {
    at = Number(setEpoch.value) - 1;
    update();
  });
  setValue.addEventListener("input", () => {
    begin("keys");
    put(at, Number(setValue.value));
    update();
    changed();
  });

  /** @param {Recorded} truth */
  function off(truth) {
    const found = errors(/** @type {number[]} */ (bridged(sketch)), truth.mean);
    const side = found.worst > 0 ? "too high" : "too low";
    return `On average over the epochs you were ${distance(found.average, unit)} off, and furthest in epoch ${found.at + 1}: ${distance(Math.abs(found.worst), unit)} ${side}.`;
  }

  return {
    element,
    sliders: [html("label", {}, ["Epoch ", setEpoch]), html("label", {}, [`${question.axis} at this epoch `, setValue])],
    lay,
    answer: () => bridged(sketch),
    complete: () => isComplete(sketch),
    restore(answer) {
      sketch = [...answer];
      if (extent(sketch).first < 0) at = 0;
      update();
    },
    reveal(truth) {
      recorded = truth;
    },
    status() {
      const { first, last } = extent(sketch);
      if (first < 0) return "Drag across the chart, or press the arrow keys on its round handle.";
      if (last < epochs - 1) return `Drawn up to epoch ${last + 1} of ${epochs}: go on to the end.`;
      if (first === 1) return "Epoch 1 is missing.";
      return first > 0 ? `Epochs 1 to ${first} are missing.` : "Complete. Draw over it to change it.";
    },
    off,
    caption: (truth) => `Thick: the mean of ${truth.runs.length} recorded runs. Thin: each of them. Dashed: your sketch.`,
  };
}
