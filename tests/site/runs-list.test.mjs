import assert from "node:assert/strict";
import test from "node:test";
import { ANY, chosen, points, results, sorted } from "../../book/_static/live/runs-list.js";

const group = (recipe, accuracies, more = {}) => ({
  recipe, data: "cifar10", network: "mlp", width: [8], epochs: 4, test_images: 1017, ...more,
  runs: accuracies.map((share, seed) => ({ seed, seconds: 10, results: { test_accuracy: share, ...more.results }, history: {} })),
});
const low = group("low", [0.4, 0.5]);
const high = group("high", [0.8], { data: "mnist", width: [16, 32], results: { val_accuracy: 0.7 } });
const names = (groups) => groups.map(({ recipe }) => recipe);

test("rows are sorted both ways", () => {
  assert.deepEqual(names(sorted([high, low], "test", false)), ["low", "high"]);
  assert.deepEqual(names(sorted([low, high], "test", true)), ["high", "low"]);
  assert.deepEqual(names(sorted([low, high], "recipe", false)), ["high", "low"]);
  assert.deepEqual(names(sorted([low, high], "width", true)), ["high", "low"]);
});

test("a row without a value comes last, whichever way the others are sorted", () => {
  assert.deepEqual(names(sorted([low, high], "validation", false)), ["high", "low"]);
  assert.deepEqual(names(sorted([low, high], "validation", true)), ["high", "low"]);
});

for (const [field, value] of [
  ["text", "MNIST high"], ["data", "mnist"], ["width", "16, 32"], ["accuracy", "60"],
]) {
  test(`the filter ${field} keeps what fits`, () => {
    assert.deepEqual(names(chosen([low, high], { ...ANY, [field]: value })), ["high"]);
  });
}

test("limits keep what lies within them", () => {
  assert.deepEqual(names(chosen([low, high], { ...ANY, seeds: "2" })), ["low"]);
  assert.deepEqual(names(chosen([low, high], { ...ANY, seconds: "9" })), []);
  assert.deepEqual(names(chosen([low, high], { ...ANY, seconds: "10" })), ["low", "high"]);
});

test("a result that a run does not have is left out", () => {
  assert.deepEqual(results(low, "val_accuracy"), []);
  assert.deepEqual(results(high, "val_accuracy"), [0.7]);
});

test("a difference has a minus sign, and zero has none", () => {
  assert.deepEqual([0.0123, -0.0123, -0.0001].map(points), ["1.2", "−1.2", "0.0"]);
});
