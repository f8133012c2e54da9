// Comparisons of two methods, simulated: the model of book/_ext/luck.py, with which a test compares the results.
import { mean, welch } from "./statistics.js";

/**
 * Difference and spread in points; `own`: each method is good at images of its own.
 * @typedef {{ difference: number, spread: number, seeds: number, images: number, own: boolean }} Settings
 */
/**
 * What the records say of the images: the share on which two seeds disagree, and the variance between two methods.
 * @typedef {{ disagreement: number, own: number }} Images
 */
/**
 * In points. `called` is the sign of the difference if the interval leaves out zero, else 0; `apart`: every seed of
 * one side is better than every seed of the other.
 * @typedef {{ difference: number, low: number, high: number, called: number, apart: boolean }} Experiment
 */
/**
 * Shares of experiments from 0 to 1; `size` is the mean measured difference, in points, of those that call one.
 * @typedef {{ called: number, wrong: number, apart: number, covered: number, size: number }} Summary
 */

/**
 * Random numbers from 0 to 1, the same for the same seed. Source: mulberry32, by Tommy Ettinger.
 * @param {number} seed  a whole number
 */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Normal random numbers with mean 0 and standard deviation 1, two at a time by Box and Muller's method.
 * @param {number} seed
 */
export function normal(seed) {
  const random = uniform(seed);
  let spare = NaN;
  return () => {
    if (!Number.isNaN(spare)) {
      const kept = spare;
      spare = NaN;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/**
 * The standard deviations, in points, of one run, and of what all runs of an experiment share.
 * @param {Settings} settings
 * @param {Images} images
 */
export function deviations({ spread, images, own }, { disagreement, own: between }) {
  return {
    run: Math.sqrt(spread ** 2 + (10_000 * disagreement) / (2 * images)), // a share of 1 is 100 points
    shared: own ? 100 * Math.sqrt(between / images) : 0,
  };
}

/**
 * An experiment has random numbers of its own, so that its luck stays the same while a reader moves a slider.
 * @param {Settings} settings
 * @param {Images} images
 * @param {number} count
 * @param {number} draw  another number gives other luck
 * @returns {Experiment[]}
 */
export function repeat(settings, images, count, draw) {
  const { run, shared } = deviations(settings, images);
  return Array.from({ length: count }, (_, i) => {
    const random = normal(draw * 1_000_003 + i);
    const offset = settings.difference + shared * random();
    const first = [];
    const second = [];
    for (let seed = 0; seed < settings.seeds; seed++) {
      first.push(offset + run * random());
      second.push(run * random());
    }
    const { difference, low, high } = welch(first, second);
    const apart = Math.min(...first) > Math.max(...second) || Math.max(...first) < Math.min(...second);
    return { difference, low, high, called: low > 0 ? 1 : high < 0 ? -1 : 0, apart };
  });
}

/**
 * @param {Experiment[]} experiments
 * @param {number} truth  the true difference in points, at least 0
 * @returns {Summary}
 */
export function summarize(experiments, truth) {
  const share = (/** @type {(one: Experiment) => boolean} */ test) => experiments.filter(test).length / experiments.length;
  const called = experiments.filter((one) => one.called !== 0);
  return {
    called: called.length / experiments.length,
    wrong: share((one) => one.called < 0 && truth > 0),
    apart: share((one) => one.apart),
    covered: share((one) => one.low <= truth && truth <= one.high),
    size: called.length ? mean(called.map((one) => Math.abs(one.difference))) : NaN,
  };
}
