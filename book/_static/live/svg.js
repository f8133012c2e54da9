// What the charts that readers draw on share: scales, outlines, sliders, and the numbers written in them.

/** @param {Element} element @param {Record<string, string | number>} attributes */
export function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
}

/**
 * Whether an element answers to the keys as a slider: once the answer is shown, it is only a part of the picture.
 * @param {Element} element @param {boolean} on @param {Record<string, string | number>} attributes
 */
export function asSlider(element, on, attributes) {
  const all = { role: "slider", tabindex: 0, ...attributes };
  if (on) set(element, all);
  else for (const name of [...Object.keys(all), "aria-valuenow", "aria-valuetext"]) element.removeAttribute(name);
}

/**
 * What a chart is to a screen reader: controls in a group, or one picture in words.
 * @param {string} name @param {string} [words]
 */
export const chartRole = (name, words) => (words ? { role: "img", "aria-label": words } : { role: "group", "aria-label": name });

/** The outline of a line through points; null interrupts it. @param {([number, number] | null)[]} points */
export function path(points) {
  let open = false;
  return points
    .map((point) => {
      const command = open ? "L" : "M";
      open = point !== null;
      return point && `${command}${point[0].toFixed(1)},${point[1].toFixed(1)}`;
    })
    .filter(Boolean)
    .join("");
}

/** A linear scale. @param {[number, number]} from @param {[number, number]} to */
export function scale([low, high], [start, end]) {
  const at = (/** @type {number} */ value) => start + ((value - low) / (high - low)) * (end - start);
  at.inverse = (/** @type {number} */ place) => low + ((place - start) / (end - start)) * (high - low);
  return at;
}

const DECIMALS = /** @type {Record<string, number>} */ ({ "%": 1, points: 1, nats: 2, times: 0 });

/** A value of an axis in words: "56.4 %". @param {number} value @param {string} unit @param {number} [decimals] */
export function words(value, unit, decimals = DECIMALS[unit]) {
  return `${number(value, decimals)} ${unit}`;
}

/** A distance between two values: percentages differ by points. @param {number} value @param {string} unit */
export function distance(value, unit) {
  const decimals = unit === "times" ? 1 : DECIMALS[unit];
  return `${number(value, decimals)} ${unit === "%" ? "points" : unit}`;
}

/** @param {number} value @param {number} decimals */
export function number(value, decimals) {
  const text = value.toFixed(decimals);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/**
 * What a key asks of a slider, or null: arrows go a step, page keys ten, Home and End to the ends.
 * @param {KeyboardEvent} event @param {number} value @param {[number, number]} range @param {number} step
 */
export function moved(event, value, [low, high], step) {
  const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
  if (event.altKey || event.ctrlKey || event.metaKey) return null;
  if (event.key === "Home") return low;
  if (event.key === "End") return high;
  const count = steps[/** @type {keyof typeof steps} */ (event.key)];
  if (count === undefined) return null;
  const next = Math.round(value / step + count * (event.shiftKey ? 5 : 1)) * step;
  return Math.min(Math.max(Number(next.toFixed(6)), low), high);
}
