// The arithmetic of "Draw, then see": what is drawn, how far off it was, and how well ranges were chosen.
// Nothing here touches the page; tests/site/judging.test.mjs tries it in Node.

/**
 * @typedef {(number | null)[]} Sketch  one value per epoch; null where nothing was drawn yet
 * @typedef {{ x: number, y: number }} Point  in the units of the axes; x counts epochs from 0
 */

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The sketch after one movement of the pen: every epoch that it passed lies on the straight line between its ends. A
 * movement near a single epoch brings that epoch to where the pen is.
 * @param {Sketch} sketch @param {Point} from @param {Point} to
 * @returns {Sketch}
 */
export function stroke(sketch, from, to) {
  const [left, right] = from.x <= to.x ? [from, to] : [to, from];
  const changed = [...sketch];
  const first = clamp(Math.round(left.x), 0, sketch.length - 1);
  const last = clamp(Math.round(right.x), 0, sketch.length - 1);
  for (let epoch = first; epoch <= last; epoch++) {
    const share = clamp((epoch - left.x) / (right.x - left.x), 0, 1);
    changed[epoch] = first === last ? to.y : left.y + share * (right.y - left.y);
  }
  return changed;
}

/**
 * The sketch with the gaps between drawn epochs bridged by straight lines; before the first and after the last drawn
 * epoch it stays null.
 * @param {Sketch} sketch @returns {Sketch}
 */
export function bridged(sketch) {
  const drawn = sketch.flatMap((value, epoch) => (value === null ? [] : [{ x: epoch, y: value }]));
  let filled = sketch;
  for (let i = 1; i < drawn.length; i++) filled = stroke(filled, drawn[i - 1], drawn[i]);
  return filled;
}

/**
 * The sketch drawn on to an end that it stopped a little short of, at the height where it stopped: a hand seldom
 * begins exactly at the first of seventy epochs.
 * @param {Sketch} sketch @param {number} reach  how many epochs may be missing at an end
 * @returns {Sketch}
 */
export function rounded(sketch, reach) {
  const { first, last } = extent(sketch);
  if (first < 0) return sketch;
  return sketch.map((value, epoch) => {
    if (epoch < first && first <= reach) return sketch[first];
    return epoch > last && sketch.length - 1 - last <= reach ? sketch[last] : value;
  });
}

/** The first and the last drawn epoch, −1 where nothing is drawn. @param {Sketch} sketch */
export function extent(sketch) {
  const drawn = sketch.flatMap((value, epoch) => (value === null ? [] : [epoch]));
  return { first: drawn[0] ?? -1, last: drawn.at(-1) ?? -1 };
}

/**
 * Whether what a browser kept can be an answer of so many values: the question may have changed since.
 * @param {unknown} kept @param {number} count
 * @returns {kept is Sketch}
 */
export const fits = (kept, count) =>
  Array.isArray(kept) && kept.length === count && kept.every((value) => value === null || Number.isFinite(value));

/** Whether it reaches from the first epoch to the last. @param {Sketch} sketch */
export const isComplete = (sketch) => sketch[0] !== null && sketch[sketch.length - 1] !== null;

/**
 * How far an answer lies from the means of the recorded runs, place by place (epochs, or bars).
 * @param {number[]} answer @param {number[]} means
 * @returns {{ average: number, worst: number, at: number }} the mean absolute distance; the largest distance with its
 *   sign (above zero: the answer was too high) and its place
 */
export function errors(answer, means) {
  const off = answer.map((value, place) => value - means[place]);
  const sizes = off.map(Math.abs);
  const at = sizes.indexOf(Math.max(...sizes));
  return { average: average(sizes), worst: off[at], at };
}

/** @param {number[]} values */
export const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * An error in units of the spread over seeds; null where the seeds do not differ.
 * @param {number} error @param {number[]} spreads
 */
export function inSpreads(error, spreads) {
  const spread = average(spreads);
  return spread > 0 ? error / spread : null;
}

/** @param {{ low: number, high: number }} range @param {number} truth */
export const holds = (range, truth) => range.low <= truth && truth <= range.high;

/**
 * How many of n ranges should hold the answer if each does with that probability, and what luck allows: the smallest
 * and the largest count that are not in the outer tails of 5 % each.
 * @param {number} n @param {number} probability
 */
export function expectedHits(n, probability) {
  const chances = [];
  let ways = 1;
  for (let k = 0; k <= n; k++) {
    chances.push(ways * probability ** k * (1 - probability) ** (n - k));
    ways = (ways * (n - k)) / (k + 1);
  }
  let [low, below] = [0, chances[0]];
  while (below < 0.05) below += chances[++low];
  let [high, above] = [n, chances[n]];
  while (above < 0.05) above += chances[--high];
  return { expected: n * probability, low, high };
}

/**
 * Places for labels on one line, in the order given: each as near to where it is wanted as the others allow.
 * @param {number[]} wanted @param {number} gap  between two neighbours @param {number} low @param {number} high
 * @returns {number[]}
 */
export function spaced(wanted, gap, low, high) {
  const order = wanted.map((_, i) => i).sort((one, other) => wanted[one] - wanted[other]);
  const places = [...wanted];
  let edge = low;
  for (const i of order) edge = (places[i] = Math.max(places[i], edge)) + gap;
  edge = high;
  for (const i of order.reverse()) edge = (places[i] = Math.min(places[i], edge)) - gap;
  return places;
}

/**
 * Round numbers across a range, about as many as asked for.
 * @param {number} low @param {number} high @param {number} count @returns {number[]}
 */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** How finely a value of an axis can be set: a round number, a small part of the range. @param {[number, number]} range */
export function fineness([low, high]) {
  return Math.min(1, 10 ** Math.floor(Math.log10((high - low) / 25)));
}
