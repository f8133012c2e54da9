// Runs a trained network: a list of steps with their weights, made by book/_ext/live_network.py. All numbers of
// a network, its weights and what every step computes, lie in one float32 array, the heap of a machine.
// Images are [row][column][channel] everywhere, and a fully connected layer is a convolution as large as its
// input.

/**
 * @typedef {[rows: number, columns: number, channels: number]} Shape
 * @typedef {{ op: "conv" | "relu" | "silu" | "max" | "concat", from: number[], shape: Shape, label?: string,
 *   kernel?: number, stride?: number, pad?: number, weights?: number, channels?: number }} Step
 *   one step; `from` counts steps from 1, and 0 is the image. In a convolution, `weights` and `channels` say
 *   where its filters, and its scales and biases, begin; a max takes the largest of kernel × kernel pixels
 * @typedef {{ steps: Step[], halves: number }} Model  the weights are `halves` float16, then float32
 * @typedef {(x: number, width: number, inputs: number, w: number, bias: number, k: number, stride: number,
 *   y: number, columns: number, pixels: number, outputs: number) => void} Convolve  see conv.c; x, w, bias and y
 *   are places in the heap
 * @typedef {{ heap: () => Float32Array, reserve: (count: number) => number, convolve: Convolve, name: string }}
 *   Machine
 * @typedef {{ run: (image: Float32Array) => Float32Array, output: (step: number) => Float32Array,
 *   filter: (step: number, channel: number) => Float32Array }} Network  a network that is ready: `run` gives the
 *   logits, after which `output` gives what a step computed
 */

/**
 * The machine with SIMD.
 * @param {BufferSource} bytes  conv.wasm
 * @returns {Promise<Machine>}  it fails where the browser has no SIMD
 */
export async function simd(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes);
  const memory = /** @type {WebAssembly.Memory} */ (instance.exports.memory);
  const conv = /** @type {Function} */ (instance.exports.conv);
  let end = memory.buffer.byteLength; // what lies below is the program's own
  return {
    name: "WebAssembly",
    heap: () => new Float32Array(memory.buffer),
    reserve: (count) => {
      const start = end / 4;
      end += Math.ceil(count / 4) * 16;
      const pages = Math.ceil((end - memory.buffer.byteLength) / 65536);
      if (pages > 0) memory.grow(pages);
      return start;
    },
    convolve: (x, width, inputs, w, bias, k, stride, y, columns, pixels, outputs) =>
      conv(4 * x, width, inputs, 4 * w, 4 * bias, k, stride, 4 * y, columns, pixels, outputs),
  };
}

/**
 * The machine in plain JavaScript.
 * @returns {Machine}
 */
export function plain() {
  let heap = new Float32Array(0);
  return {
    name: "JavaScript",
    heap: () => heap,
    reserve: (count) => {
      const start = heap.length;
      const larger = new Float32Array(start + count);
      larger.set(heap);
      heap = larger;
      return start;
    },
    convolve: (x, width, inputs, w, bias, k, stride, y, columns, pixels, outputs) => {
      const run = k * inputs;
      for (let o = 0; o < outputs; o += 8, w += 8 * k * run) {
        for (let p = 0; p < pixels; p++) {
          const from = x + (Math.floor(p / columns) * width + (p % columns)) * stride * inputs;
          const b = bias + o;
          let [s0, s1, s2, s3] = [heap[b], heap[b + 1], heap[b + 2], heap[b + 3]];
          let [s4, s5, s6, s7] = [heap[b + 4], heap[b + 5], heap[b + 6], heap[b + 7]];
          let filter = w;
          for (let row = 0; row < k; row++) {
            const start = from + row * width * inputs;
            for (let i = start; i < start + run; i++, filter += 8) {
              const value = heap[i];
              s0 += value * heap[filter];
              s1 += value * heap[filter + 1];
              s2 += value * heap[filter + 2];
              s3 += value * heap[filter + 3];
              s4 += value * heap[filter + 4];
              s5 += value * heap[filter + 5];
              s6 += value * heap[filter + 6];
              s7 += value * heap[filter + 7];
            }
          }
          heap.set([s0, s1, s2, s3, s4, s5, s6, s7], y + p * outputs + o);
        }
      }
    },
  };
}

/** Every float16 as a float32: the value of the bits i stands at i. */
function halves() {
  return Float32Array.from({ length: 65536 }, (_, bits) => {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return bits & 32768 ? -size : size;
  });
}

/** @param {Shape} shape */
const count = ([rows, columns, channels]) => rows * columns * channels;

/**
 * A network on a machine.
 * @param {Model} model
 * @param {ArrayBuffer} weights
 * @param {Machine} machine
 * @param {Shape} image
 * @returns {Network}
 */
export function prepare(model, weights, machine, image = [32, 32, 3]) {
  const value = halves();
  const half = new Uint16Array(weights, 0, model.halves);
  const single = new Float32Array(weights, 2 * model.halves + (2 * model.halves) % 4);
  const shapes = [image, ...model.steps.map((step) => step.shape)];
  const padded = model.steps.map(({ from, pad = 0 }) => {
    const [rows, columns, channels] = shapes[from[0]];
    return /** @type {Shape} */ ([rows + 2 * pad, columns + 2 * pad, channels]);
  });
  const scratch = machine.reserve(Math.max(...padded.map(count)));
  const places = shapes.map((shape) => machine.reserve(count(shape)));
  const filters = model.steps.map((step, i) => {
    const { kernel = 0, weights: start = 0, channels: beside = 0, shape } = step;
    if (step.op !== "conv") return { w: 0, bias: 0 };
    const outputs = shape[2], size = kernel * kernel * padded[i][2] * outputs;
    const w = machine.reserve(size), bias = machine.reserve(outputs), heap = machine.heap();
    for (let o = 0; o < outputs; o++) heap[bias + o] = single[beside + outputs + o];
    for (let j = 0; j < size; j++) {
      const channel = 8 * Math.floor((j * 8) / ((size / outputs) * 64)) + (j % 8);
      heap[w + j] = value[half[start + j]] * single[beside + channel];
    }
    return { w, bias };
  });

  /** @type {Record<Step["op"], (step: Step, i: number, heap: Float32Array) => void>} */
  const operations = {
    conv({ from, shape, kernel = 1, stride = 1, pad = 0 }, i, heap) {
      let x = places[from[0]];
      const [rows, columns, channels] = shapes[from[0]], width = columns + 2 * pad;
      if (pad) {
        heap.fill(0, scratch, scratch + count(padded[i]));
        for (let row = 0; row < rows; row++) {
          const start = x + row * columns * channels;
          heap.copyWithin(scratch + ((row + pad) * width + pad) * channels, start, start + columns * channels);
        }
        x = scratch;
      }
      const { w, bias } = filters[i];
      machine.convolve(x, width, channels, w, bias, kernel, stride, places[i + 1], shape[1], shape[0] * shape[1],
        shape[2]);
    },
    relu({ from, shape }, i, heap) {
      const x = places[from[0]], y = places[i + 1];
      for (let j = 0; j < count(shape); j++) heap[y + j] = Math.max(0, heap[x + j]);
    },
    silu({ from, shape }, i, heap) {
      const x = places[from[0]], y = places[i + 1];
      for (let j = 0; j < count(shape); j++) heap[y + j] = heap[x + j] / (1 + Math.exp(-heap[x + j]));
    },
    max({ from, shape: [rows, columns, channels], kernel = 1 }, i, heap) {
      const x = places[from[0]], width = shapes[from[0]][1];
      for (let p = 0; p < rows * columns; p++) {
        const y = places[i + 1] + p * channels;
        heap.fill(-Infinity, y, y + channels);
        for (let k = 0; k < kernel * kernel; k++) {
          const row = Math.floor(p / columns) * kernel + Math.floor(k / kernel);
          const start = x + (row * width + (p % columns) * kernel + (k % kernel)) * channels;
          for (let c = 0; c < channels; c++) heap[y + c] = Math.max(heap[y + c], heap[start + c]);
        }
      }
    },
    concat({ from, shape: [rows, columns] }, i, heap) {
      let y = places[i + 1];
      for (let p = 0; p < rows * columns; p++) {
        for (const input of from) {
          const wide = shapes[input][2], start = places[input] + p * wide;
          heap.copyWithin(y, start, start + wide);
          y += wide;
        }
      }
    },
  };

  /** @param {number} index  counts from 0, the image */
  const output = (index) => machine.heap().slice(places[index], places[index] + count(shapes[index]));
  return {
    run(picture) {
      const heap = machine.heap();
      heap.set(picture, places[0]);
      model.steps.forEach((step, i) => operations[step.op](step, i, heap));
      return output(shapes.length - 1);
    },
    output,
    filter(index, channel) {
      const { kernel = 0, from } = model.steps[index - 1], heap = machine.heap();
      const size = kernel * kernel * shapes[from[0]][2];
      const start = filters[index - 1].w + Math.floor(channel / 8) * 8 * size + (channel % 8);
      return Float32Array.from({ length: size }, (_, i) => heap[start + 8 * i]);
    },
  };
}

/**
 * The probabilities of the classes.
 * @param {ArrayLike<number>} logits  those of the padding after them are left out
 * @param {number} temperature  above 1 for a network that is surer than it is right
 * @param {number} classes
 */
export function softmax(logits, temperature = 1, classes = 10) {
  const scaled = Array.from({ length: classes }, (_, i) => logits[i] / temperature);
  const top = Math.max(...scaled);
  const parts = scaled.map((value) => Math.exp(value - top));
  const sum = parts.reduce((a, b) => a + b, 0);
  return parts.map((part) => part / sum);
}
