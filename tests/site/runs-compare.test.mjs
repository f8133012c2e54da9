import assert from "node:assert/strict";
import test from "node:test";

globalThis.document ??= { createElement: () => ({}) }; // the library of charts asks for one when it is loaded
const { agreed, byEpoch, cautions, verdict } = await import("../../book/_static/live/runs-compare.js");

const group = (accuracies, more = {}) => ({
  recipe: "one", data: "cifar10", test_images: 1017, place: "CPU", ...more,
  runs: accuracies.map((share) => ({ results: { test_accuracy: share }, history: { val_loss: [1, share] } })),
});

test("the verdict says what the interval says", () => {
  assert.match(verdict(group([0.8, 0.81]), group([0.5, 0.51])), /30\.0 points better than B.*leaves out zero/);
  assert.match(verdict(group([0.5, 0.51]), group([0.8, 0.81])), /30\.0 points worse than B.*leaves out zero/);
  assert.match(verdict(group([0.5, 0.6]), group([0.52, 0.56])), /contains zero/);
  assert.match(verdict(group([0.5, 0.6]), group([0.5])), /5\.0 points better.*a single seed, so there is no interval/);
  assert.match(verdict(group([0.5, 0.6]), group([0.5, 0.6])), /equally accurate/);
});

test("an unfair comparison is said to be one", () => {
  assert.deepEqual(cautions(group([0.5]), group([0.6])), []);
  assert.match(cautions(group([0.5]), group([0.6], { data: "mnist/moved" })).join(), /different data sets/);
  assert.match(cautions(group([0.5]), group([0.6], { test_images: 10_000 })).join(), /numbers of test images/);
  assert.deepEqual(cautions(group([0.5]), group([0.6], { data: "cifar10/grey" })), []);
});

test("agreement is found whichever way round the pair was counted", () => {
  const counted = { "a b": [1, 2, 3, 4] };
  assert.deepEqual(agreed(counted, "a", "b"), [1, 2, 3, 4]);
  assert.deepEqual(agreed(counted, "b", "a"), [1, 3, 2, 4]);
  assert.equal(agreed(counted, "a", "c"), undefined);
});

test("curves are means over the seeds with their spread", () => {
  assert.deepEqual(byEpoch(group([2, 4]), "val_loss", 1).map(({ mean }) => mean), [1, 3]);
  assert.ok(Math.abs(byEpoch(group([2, 4]), "val_loss", 1)[1].spread - Math.SQRT2) < 1e-12);
  assert.deepEqual(byEpoch(group([2, 4]), "train_loss", 1), []);
});
