// The arithmetic of the page on which readers try the networks.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { plain, prepare, simd, softmax } from "../../book/_static/live/network/engine.js";
import { COVER, SIDE, STRIDE, UNCHANGED, changed, cover, evidence, fields, middleOf, shrink, square,
  strongest } from "../../book/_static/live/network/picture.js";

const KERNEL = process.env.KERNEL ?? new URL("../../book/_static/live/network/conv.wasm", import.meta.url);
const order = Array.from({ length: SIDE * SIDE }, (_, p) => (p * 7) % (SIDE * SIDE));

/** Random numbers from -1 to 1, the same at each start. */
function numbers(count, seed = 1) {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (2 * state) / 2147483648 - 1;
  });
}

const picture = Uint8ClampedArray.from(numbers(3 * SIDE * SIDE), (value) => 128 + 127 * value);
const at = (image, row, column) => [...image.slice(3 * (row * SIDE + column), 3 * (row * SIDE + column) + 3)];

/** A network of one convolution, with weights that float16 holds exactly. */
function convolution({ kernel, stride, pad, inputs, outputs, side }) {
  const after = (side + 2 * pad - kernel) / stride + 1;
  const shape = [Math.floor(after), Math.floor(after), outputs];
  const size = kernel * kernel * inputs * outputs;
  const weights = new ArrayBuffer(2 * size + ((2 * size) % 4) + 8 * outputs);
  new Uint16Array(weights, 0, size).set(Array.from({ length: size }, (_, i) => 0x3000 + ((i * 37) % 2048)));
  new Float32Array(weights, 2 * size + ((2 * size) % 4)).set(numbers(2 * outputs, 5));
  const steps = [{ op: "conv", from: [0], shape, kernel, stride, pad, weights: 0, channels: 0 }];
  return [{ steps, halves: size }, weights, [side, side, inputs]];
}

test("the compiled convolution is a program of its own, with nothing but a function and its memory", async () => {
  const program = await WebAssembly.compile(readFileSync(KERNEL));
  assert.deepEqual(WebAssembly.Module.imports(program), []);
  assert.deepEqual(WebAssembly.Module.exports(program).map(({ name }) => name).sort(), ["conv", "memory"]);
});

test("the compiled convolution and the plain one agree", async () => {
  for (const form of [
    { kernel: 3, stride: 1, pad: 1, inputs: 5, outputs: 16, side: 9 },
    { kernel: 3, stride: 2, pad: 1, inputs: 8, outputs: 8, side: 16 },
    { kernel: 1, stride: 2, pad: 0, inputs: 8, outputs: 24, side: 8 },
    { kernel: 2, stride: 1, pad: 0, inputs: 3, outputs: 24, side: 32 },
    { kernel: 7, stride: 1, pad: 0, inputs: 4, outputs: 8, side: 7 },
  ]) {
    const [model, weights, image] = convolution(form);
    const x = numbers(image[0] * image[1] * image[2], 3);
    const machines = [await simd(readFileSync(KERNEL)), plain()];
    const [quick, slow] = machines.map((machine) => prepare(model, weights, machine, image).run(x));
    const scale = Math.max(...slow.map(Math.abs));
    assert.ok(scale > 0.1);
    quick.forEach((value, i) => assert.ok(Math.abs(value - slow[i]) < 1e-5 * scale, `${form.kernel}: ${value} ${slow[i]}`));
  }
});

test("a convolution adds up the pixels under its filter", () => {
  const weights = new ArrayBuffer(2 * 9 * 8 + 8 * 8);
  new Uint16Array(weights, 0, 72).fill(0x3c00); // 1 in float16
  new Float32Array(weights, 144).set([...Array(8).fill(2), ...Array(8).fill(0.5)]); // scales and biases
  const steps = [{ op: "conv", from: [0], shape: [3, 3, 8], kernel: 3, stride: 1, pad: 1, weights: 0, channels: 0 }];
  const result = prepare({ steps, halves: 72 }, weights, plain(), [3, 3, 1]).run(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
  assert.equal(result[0], 2 * (1 + 2 + 4 + 5) + 0.5);
  assert.equal(result[4 * 8 + 7], 2 * 45 + 0.5);
});

test("pooling, activations and concatenation compute what they say", () => {
  const steps = [
    { op: "max", from: [0], shape: [1, 1, 2], kernel: 2 },
    { op: "relu", from: [1], shape: [1, 1, 2] },
    { op: "silu", from: [1], shape: [1, 1, 2] },
    { op: "concat", from: [2, 3], shape: [1, 1, 4] },
  ];
  const network = prepare({ steps, halves: 0 }, new ArrayBuffer(0), plain(), [2, 2, 2]);
  const result = network.run(Float32Array.of(1, -4, 2, -3, 0, -1, 1, -2));
  assert.deepEqual([...network.output(1)], [2, -1]);
  assert.deepEqual([...result.slice(0, 2)], [2, 0]);
  assert.ok(Math.abs(result[3] - -1 / (1 + Math.E)) < 1e-6);
});

test("a higher temperature makes the same classes less certain", () => {
  const logits = [2, 1, 0, 9];
  const [sure, unsure] = [softmax(logits, 1, 3), softmax(logits, 2, 3)];
  assert.ok(Math.abs(sure.reduce((a, b) => a + b) - 1) < 1e-12 && sure.length === 3);
  assert.ok(sure[0] > unsure[0] && unsure[0] > unsure[1]);
});

test("an unchanged picture is the picture", () => {
  assert.deepEqual(changed(picture, UNCHANGED, order), picture);
});

test("a shift moves whole pixels and brings in black", () => {
  const moved = changed(picture, { ...UNCHANGED, right: 3, down: -2 }, order);
  assert.deepEqual(at(moved, 10, 13), at(picture, 12, 10));
  assert.deepEqual(at(moved, 10, 2), [0, 0, 0]);
  assert.deepEqual(at(moved, 31, 13), [0, 0, 0]);
});

test("a quarter turn goes clockwise, and half a turn is upside down", () => {
  assert.deepEqual(at(changed(picture, { ...UNCHANGED, turn: 90 }, order), 0, 31), at(picture, 0, 0));
  assert.deepEqual(at(changed(picture, { ...UNCHANGED, turn: 180 }, order), 31, 28), at(picture, 0, 3));
});

test("brightness is a factor that ends at white", () => {
  const bright = changed(picture, { ...UNCHANGED, brightness: 2 }, order);
  assert.deepEqual(at(bright, 5, 6), at(picture, 5, 6).map((value) => Math.min(255, 2 * value)));
});

test("a patch covers its square and stops at the border", () => {
  const covered = picture.slice();
  cover(covered, 1, 31, 8);
  assert.deepEqual(at(covered, 4, 27), [128, 128, 128]);
  assert.deepEqual(at(covered, 5, 27), at(picture, 5, 27));
  assert.deepEqual(at(covered, 4, 26), at(picture, 4, 26));
  assert.deepEqual(at(covered, 5, 0), at(picture, 5, 0)); // not the next row
});

test("shuffling takes each pixel with its colours from its place in the order", () => {
  const shuffled = changed(picture, { ...UNCHANGED, shuffled: true }, order);
  assert.deepEqual([...shuffled.slice(30, 33)], [...picture.slice(210, 213)]);
  const covered = changed(picture, { ...UNCHANGED, shuffled: true, size: 8 }, order);
  assert.deepEqual(at(covered, 16, 16), [128, 128, 128]); // where the reader put it
  assert.deepEqual(at(covered, 3, 3), at(shuffled, 3, 3));
});

test("a large picture shrinks to the means of its squares", () => {
  const large = new Uint8ClampedArray(4 * 64 * 64);
  for (let p = 0; p < 64 * 64; p++) large.set([p % 2 ? 100 : 0, p % 64 === 0 && p < 64 ? 200 : 0, 7, 255], 4 * p);
  assert.deepEqual(at(shrink(large), 0, 0), [50, 50, 7]);
  assert.deepEqual(at(shrink(large), 9, 9), [50, 0, 7]);
});

test("the field of a place is that of the layers before it", () => {
  const [, first, second, third] = fields([
    { op: "conv", from: [0], shape: [32, 32, 8], kernel: 3, stride: 1, pad: 1 },
    { op: "conv", from: [1], shape: [16, 16, 8], kernel: 3, stride: 2, pad: 1 },
    { op: "max", from: [2], shape: [8, 8, 8], kernel: 2 },
  ]);
  assert.deepEqual(first, { start: -1, size: 3, jump: 1 });
  assert.deepEqual(second, { start: -2, size: 5, jump: 2 });
  assert.deepEqual(third, { start: -2, size: 7, jump: 4 });
  assert.deepEqual(square(third, { row: 0, column: 7 }), { top: 0, left: 26, height: 5, width: 6 });
});

test("the strongest places are positive and no neighbours", () => {
  const layer = Float32Array.of(0, 3, 2, 0, 0, 0, 0, 0, 1);
  assert.deepEqual(strongest(layer, [3, 3, 1], 0).map(({ value }) => value), [3, 1]);
});

test("the evidence at a pixel is the mean over the squares that cover it", () => {
  const drops = new Float32Array((SIDE / STRIDE) ** 2);
  assert.deepEqual(middleOf(17), [3, 3]);
  drops[0] = 1; // around row 1, column 1
  const found = evidence(drops);
  assert.equal(found[0], 1 / 4); // the corner is covered from two rows and two columns
  assert.equal(found[31], 0);
  assert.equal(evidence(drops.fill(0.5))[500], 0.5);
  assert.equal(COVER, 8);
});
