import assert from "node:assert/strict";
import test from "node:test";
import { deviations, normal, repeat, summarize } from "../../book/_static/live/luck-simulate.js";
import { mean, spread } from "../../book/_static/live/statistics.js";

const images = { disagreement: 0.2, own: 0.08 };
const settings = { difference: 0, spread: 0.5, seeds: 3, images: 1000, own: false };

test("random numbers are normal, and the same for the same seed", () => {
  const random = normal(1);
  const values = Array.from({ length: 20_000 }, random);
  assert.ok(Math.abs(mean(values)) < 0.03);
  assert.ok(Math.abs(spread(values) - 1) < 0.02);
  assert.equal(normal(1)(), values[0]);
});

test("neighbouring seeds give unlike numbers", () => {
  const values = Array.from({ length: 20_000 }, (_, seed) => normal(seed)());
  assert.ok(Math.abs(mean(values)) < 0.03);
  assert.ok(Math.abs(spread(values) - 1) < 0.02);
});

test("an experiment keeps its luck when the true difference changes", () => {
  const [equal] = repeat(settings, images, 1, 1);
  const [better] = repeat({ ...settings, difference: 2 }, images, 1, 1);
  assert.ok(Math.abs(better.difference - equal.difference - 2) < 1e-9);
});

test("other luck gives another experiment", () => {
  assert.notEqual(repeat(settings, images, 1, 1)[0].difference, repeat(settings, images, 1, 2)[0].difference);
});

test("a run holds the luck of its seed and of the images", () => {
  // 0.2 / 2,000 is a variance of 1e-4, so one point beside the half point of the seeds.
  assert.ok(Math.abs(deviations(settings, images).run - Math.sqrt(0.25 + 1)) < 1e-9);
  assert.equal(deviations(settings, images).shared, 0);
  assert.ok(Math.abs(deviations({ ...settings, own: true }, images).shared - 100 * Math.sqrt(8e-5)) < 1e-9);
});

test("experiments are counted by what they call", () => {
  const one = { difference: 1, low: 0.5, high: 1.5, called: 1, apart: true };
  const wrong = { difference: -2, low: -3, high: -1, called: -1, apart: true };
  const silent = { difference: 0.2, low: -1, high: 1.4, called: 0, apart: false };
  const found = summarize([one, wrong, silent, silent], 1.2);
  assert.deepEqual(found, { called: 0.5, wrong: 0.25, apart: 0.5, covered: 0.75, size: 1.5 });
});

test("equal methods have no wrong side", () => {
  const wrong = { difference: -2, low: -3, high: -1, called: -1, apart: true };
  assert.equal(summarize([wrong], 0).wrong, 0);
});
