// node --test: the arithmetic of "Draw, then see".
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bridged, errors, expectedHits, extent, fineness, fits, holds, inSpreads, isComplete, rounded, spaced, stroke, ticks,
} from "../../book/_static/live/judging.js";

const none = (n) => Array(n).fill(null);

test("a stroke sets every epoch that it passes, on the straight line between its ends", () => {
  assert.deepEqual(stroke(none(5), { x: 0, y: 10 }, { x: 4, y: 50 }), [10, 20, 30, 40, 50]);
  assert.deepEqual(stroke(none(5), { x: 3, y: 40 }, { x: 1, y: 20 }), [null, 20, 30, 40, null]);
});

test("a stroke between two epochs sets the nearer one to where the pen is", () => {
  assert.deepEqual(stroke(none(3), { x: 0.6, y: 7 }, { x: 0.6, y: 7 }), [null, 7, null]);
  assert.deepEqual(stroke(none(3), { x: 0.6, y: 7 }, { x: 0.8, y: 9 }), [null, 9, null]);
  assert.deepEqual(stroke(none(3), { x: 0.3, y: 7 }, { x: 0.4, y: 9 }), [9, null, null]);
});

test("a stroke beyond the ends stays within the epochs and leaves its argument alone", () => {
  const before = none(2);
  assert.deepEqual(stroke(before, { x: -3, y: 1 }, { x: 9, y: 1 }), [1, 1]);
  assert.deepEqual(before, [null, null]);
});

test("straight up and down in one epoch, the last height counts", () => {
  assert.deepEqual(stroke(none(3), { x: 1, y: 80 }, { x: 1, y: 20 }), [null, 20, null]);
});

test("gaps are bridged, ends are not", () => {
  assert.deepEqual(bridged([null, 2, null, null, 8, null]), [null, 2, 4, 6, 8, null]);
  assert.deepEqual(bridged([null, 0, null, 4]), [null, 0, 2, 4]);
  assert.deepEqual(bridged(none(3)), none(3));
});

test("a sketch is complete from its first epoch to its last", () => {
  assert.equal(isComplete([1, null, 0]), true);
  assert.equal(isComplete([null, 1, 1]), false);
  assert.equal(isComplete([1, 1, null]), false);
  assert.deepEqual(extent([null, 0, null, 5, null]), { first: 1, last: 3 });
  assert.deepEqual(extent(none(2)), { first: -1, last: -1 });
});

test("ends that are nearly reached are drawn on to, others are not", () => {
  assert.deepEqual(rounded([null, 3, 4, null], 1), [3, 3, 4, 4]);
  assert.deepEqual(rounded([null, null, 3, 4], 1), [null, null, 3, 4]);
  assert.deepEqual(rounded(none(2), 5), none(2));
});

test("errors are distances in the unit of the question, and the worst keeps its sign", () => {
  assert.deepEqual(errors([10, 20, 30], [12, 20, 24]), { average: 8 / 3, worst: 6, at: 2 });
  assert.deepEqual(errors([1], [5]), { average: 4, worst: -4, at: 0 });
});

test("errors are compared with the spread over seeds, unless the seeds agree", () => {
  assert.equal(inSpreads(6, [1, 3]), 3);
  assert.equal(inSpreads(6, [0, 0]), null);
});

test("a range holds its own ends", () => {
  assert.equal(holds({ low: 1, high: 2 }, 2), true);
  assert.equal(holds({ low: 1, high: 2 }, 2.01), false);
});

test("the number of ranges that should hold the answer, and what luck allows", () => {
  assert.deepEqual(expectedHits(10, 0.5), { expected: 5, low: 2, high: 8 }); // P(0 or 1) = 0.011, P(0 to 2) = 0.055
  assert.deepEqual(expectedHits(6, 0.8), { expected: 6 * 0.8, low: 3, high: 6 }); // P(0 to 2) = 0.017, P(6) = 0.26
  assert.deepEqual(expectedHits(1, 0.8), { expected: 0.8, low: 0, high: 1 });
});

test("labels that would overlap are moved apart and stay inside", () => {
  assert.deepEqual(spaced([10, 50], 15, 0, 100), [10, 50]);
  assert.deepEqual(spaced([52, 50], 15, 0, 100), [65, 50]);
  assert.deepEqual(spaced([99, 98], 15, 0, 100), [100, 85]);
});

test("axes have round numbers", () => {
  assert.deepEqual(ticks(0, 100, 6), [0, 20, 40, 60, 80, 100]);
  assert.deepEqual(ticks(0.8, 2.2, 6), [1, 1.5, 2]);
  assert.deepEqual(ticks(-10, 10, 4), [-10, -5, 0, 5, 10]);
  assert.equal(fineness([0, 100]), 1);
  assert.equal(fineness([-10, 10]), 0.1);
  assert.equal(fineness([0.8, 2.2]), 0.01);
});

test("what a browser kept is no answer where the question has changed or something else wrote it", () => {
  assert.ok(fits([null, 50.5, 0], 3));
  for (const kept of [[50, 60], undefined, null, "abc", ["a", "b", "c"], [1, 2, NaN], { length: 3 }]) assert.ok(!fits(kept, 3));
});
