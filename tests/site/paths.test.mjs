import assert from "node:assert/strict";
import { test } from "node:test";
import { accuracy, carries, count, difference, living, verdict } from "../../book/_static/live/paths.js";

/** A network of two channels a part, in which the second of conv1 is dead. */
function network(changes = {}) {
  const both = [50, 60];
  const channels = { conv1: [70, null], conv2: both, conv3: both, skip: both, conv4: both, conv5: both };
  const parts = { "": 74, conv2: 40, skip: 20, "conv2+skip": 10, conv5: 10 };
  return { recipe: "paper", seed: 0, parts, channels: { ...channels, ...changes },
    dead: { accuracy: 74, changed: 0 }, folded: { percent: 80 } };
}
const state = (off, channel = null) => ({ network: "paper-seed0", off, channel });

test("the living channels that cost most come first", () => {
  assert.deepEqual(living([70, null, 30]).map(({ index }) => index), [2, 0]);
});

test("parts are looked up in the order of the network, whatever the order of clicks", () => {
  assert.equal(accuracy(network(), state(["skip", "conv2"])), 10);
});

test("a single channel has its own accuracy", () => {
  assert.equal(accuracy(network(), state([], { part: "conv2", index: 1 })), 60);
});

test("the image passes by either path", () => {
  assert.ok(carries(network(), ["skip"], "conv5") && carries(network(), ["conv3"], "conv5"));
  assert.ok(!carries(network(), ["skip", "conv2"], "conv5"));
});

test("a part whose channels are all dead carries nothing", () => {
  assert.ok(!carries(network({ conv2: [null, null] }), ["skip"], "conv5"));
});

test("differences are in points, small ones with two digits", () => {
  assert.equal(difference(74.12, 74.12), "exactly as many as with everything on");
  assert.equal(difference(74.12, 73.9), "0.22 points fewer than with everything on");
  assert.equal(difference(70, 72.5), "2.5 points more than with everything on");
});

test("the sentence says when the network can only guess", () => {
  assert.match(verdict(network(), state(["skip", "conv2"])), /^Without conv2 and skip: 64.0 points fewer.*same answer/);
  assert.doesNotMatch(verdict(network(), state(["conv2"])), /same answer/);
});

test("dead channels are counted over all parts", () => {
  assert.deepEqual(count(network()), { dead: 1, all: 12 });
});
