// The list of recorded runs: what each group is sorted by, which groups a filter keeps, how numbers are written.
import { mean, spread } from "./statistics.js";

/** @typedef {"test_accuracy" | "test_accuracy_views" | "val_accuracy" | "val_accuracy_views"} Result */
/** @typedef {"train_loss" | "val_loss" | "val_accuracy"} Quantity */
/**
 * One recorded run: results from 0 to 1; a history, losses in nats, with a value for each epoch.
 * @typedef {{
 *   seed: number, seconds: number, results: Partial<Record<Result, number>>,
 *   history: Partial<Record<Quantity, number[]>>
 * }} Run
 */
/**
 * Runs that differ in their seed alone.
 * @typedef {{
 *   id: string, recipe: string, data: string, network: string, width: number[], weights: number,
 *   epochs: number, test_images: number, place: string, seeds: string, fields: Record<string, unknown>, runs: Run[]
 * }} Group
 */
/**
 * @typedef {{
 *   repository: string, defaults: Record<string, unknown>, groups: Group[], agreement: Record<string, number[]>
 * }} Recorded
 */
/**
 * What a reader asks for; empty where anything goes. Accuracy in per cent.
 * @typedef {{
 *   text: string, data: string, network: string, width: string, images: string, seeds: string, epochs: string,
 *   accuracy: string, seconds: string
 * }} Filter
 */

/** @type {Filter} */
export const ANY = {
  text: "", data: "", network: "", width: "", images: "", seeds: "", epochs: "", accuracy: "", seconds: "",
};

/** What the table is sorted by. @type {Record<string, (group: Group) => number | string>} */
export const KEYS = {
  recipe: (group) => group.recipe,
  data: (group) => group.data,
  width: (group) => group.width.at(-1) ?? 0,
  seeds: (group) => group.runs.length,
  epochs: (group) => group.epochs,
  images: (group) => group.test_images,
  test: (group) => mean(results(group, "test_accuracy")),
  validation: (group) => mean(results(group, "val_accuracy")),
  seconds: (group) => mean(group.runs.map((run) => run.seconds)),
};

/**
 * One result of each run, from 0 to 1; empty where the runs do not have it.
 * @param {Group} group
 * @param {Result} name
 * @returns {number[]}
 */
export function results(group, name) {
  return group.runs.flatMap((run) => {
    const value = run.results[name];
    return value === undefined ? [] : [value];
  });
}

/**
 * @param {Group[]} groups
 * @param {string} key  of KEYS
 * @param {boolean} down
 */
export function sorted(groups, key, down) {
  const value = KEYS[key];
  return [...groups].sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    const [lacks, otherLacks] = [Number.isNaN(one), Number.isNaN(other)];
    if (lacks || otherLacks) return Number(lacks) - Number(otherLacks); // what has no value comes last either way
    const order = typeof one === "string" ? one.localeCompare(String(other)) : one - Number(other);
    return down ? -order : order;
  });
}

/**
 * @param {Group[]} groups
 * @param {Filter} filter
 */
export function chosen(groups, filter) {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const least = (/** @type {string} */ text, /** @type {number} */ value) => !text || value >= Number(text);
  return groups.filter((group) => {
    const text = `${group.recipe} ${group.data} ${group.network}`.toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      (!filter.data || group.data === filter.data) &&
      (!filter.network || group.network === filter.network) &&
      (!filter.width || widthOf(group) === filter.width) &&
      (!filter.images || group.test_images === Number(filter.images)) &&
      (!filter.epochs || group.epochs === Number(filter.epochs)) &&
      least(filter.seeds, group.runs.length) &&
      least(filter.accuracy, 100 * Number(KEYS.test(group))) &&
      (!filter.seconds || Number(KEYS.seconds(group)) <= Number(filter.seconds))
    );
  });
}

/** @param {Group} group */
export function widthOf(group) {
  return group.width.length ? group.width.join(", ") : "–";
}

/** How a group is called beside others. @param {Group} group */
export function nameOf(group) {
  const seeds = group.runs.length === 1 ? "seed" : "seeds";
  return `${group.recipe}, ${group.test_images.toLocaleString("en")} test images, ${seeds} ${group.seeds}`;
}

/** What records a group anew, beside the records that are there. @param {Group} group */
export function commandFor(group) {
  return `python -m cifar_lib record ${group.recipe} --seeds ${group.seeds} --folder redone`;
}

/**
 * Shares in per cent as "71.9 ± 0.4" in one line, as cifar_lib.evaluate.format_percent writes them; "–" where there is none.
 * @param {number[]} shares
 */
export function percent(shares) {
  if (!shares.length) return "–";
  const middle = (100 * mean(shares)).toFixed(1);
  return shares.length === 1 ? middle : `${middle}\u00a0±\u00a0${(100 * spread(shares)).toFixed(1)}`;
}

/** A difference in points, with its sign. @param {number} share */
export function points(share) {
  const text = (100 * Math.abs(share)).toFixed(1);
  return `${share < 0 && text !== "0.0" ? "−" : ""}${text}`;
}

/** @param {number} value */
export function seconds(value) {
  return Math.round(value).toLocaleString("en");
}
