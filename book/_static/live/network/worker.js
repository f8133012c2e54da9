// The networks, in a thread of their own, so that the page never waits for them.
import { plain, prepare, simd, softmax } from "./engine.js";
import { COVER, GREY, SIDE, STRIDE, cover, middleOf, normalised } from "./picture.js";

/**
 * @typedef {{ name: string, title: string, temperature: number, bytes: number,
 *   model: import("./engine.js").Model }} Entry  a network, as book/_ext/live_network.py describes it
 * @typedef {{ label: string, step: number, shape: import("./engine.js").Shape, values: Float32Array,
 *   filters: number }} Layer  what a labelled step computed; `filters` is the convolution before it, if that sees
 *   the picture itself, else 0
 * @typedef {{ kind: "load", folder: string, entries: Entry[] }
 *   | { kind: "answer", id: number, image: Float32Array }
 *   | { kind: "inside", id: number, name: string, image: Float32Array }
 *   | { kind: "filters", name: string, step: number, channels: number[] }
 *   | { kind: "map", id: number, name: string, image: Float32Array, target: number }
 *   | { kind: "stop" }} Request
 * @typedef {{ kind: "loaded", name: string, machine: string }
 *   | { kind: "failed", name: string }
 *   | { kind: "answers", id: number, answers: { name: string, probabilities: number[], ms: number }[] }
 *   | { kind: "inside", id: number, name: string, layers: Layer[] }
 *   | { kind: "filters", name: string, step: number, filters: [number, Float32Array][] }
 *   | { kind: "map", id: number, name: string, drops: Float32Array, done: number }} Reply
 */

/** @type {Map<string, { entry: Entry, network: import("./engine.js").Network }>} */
const ready = new Map();
let mapping = 0; // the number of the map that is wanted

/** @type {(reply: Reply) => void} */
const reply = (message) => /** @type {any} */ (self).postMessage(message);
const pause = () => new Promise((done) => setTimeout(done));

/** @param {string | URL} address */
async function bytes(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status} ${address}`);
  return answer.arrayBuffer();
}

/** @param {Extract<Request, { kind: "load" }>} request */
async function load({ folder, entries }) {
  const machine = await bytes(new URL("./conv.wasm", import.meta.url)).then(simd).catch(plain);
  await Promise.all(entries.map(async (entry) => {
    try {
      const network = prepare(entry.model, await bytes(new URL(`${entry.name}.bin`, folder)), machine);
      ready.set(entry.name, { entry, network });
      reply({ kind: "loaded", name: entry.name, machine: machine.name });
    } catch (error) {
      console.error(error);
      reply({ kind: "failed", name: entry.name });
    }
  }));
}

/**
 * The probabilities that a network gives.
 * @param {string} name
 * @param {Float32Array} image
 */
function ask(name, image) {
  const { entry, network } = known(name);
  return softmax(network.run(image), entry.temperature);
}

/** @param {string} name */
function known(name) {
  const found = ready.get(name);
  if (!found) throw new Error(`The network ${name} is not loaded.`);
  return found;
}

/** @param {Extract<Request, { kind: "map" }>} request */
async function map({ id, name, image, target }) {
  mapping = id;
  const before = ask(name, image)[target], [grey] = normalised([GREY]);
  const drops = new Float32Array((SIDE / STRIDE) ** 2);
  let shown = performance.now();
  for (let i = 0; i < drops.length; i++) {
    const covered = image.slice();
    cover(covered, ...middleOf(i), COVER, grey);
    drops[i] = before - ask(name, covered)[target];
    if (performance.now() - shown > 50) {
      reply({ kind: "map", id, name, drops, done: i + 1 });
      await pause(); // other questions come first
      if (mapping !== id) return;
      shown = performance.now();
    }
  }
  reply({ kind: "map", id, name, drops, done: drops.length });
}

/** @param {Request} request */
async function answer(request) {
  if (request.kind === "load") return load(request);
  if (request.kind === "map") return map(request);
  if (request.kind === "stop") {
    mapping = 0;
  } else if (request.kind === "answer") {
    const answers = [...ready.keys()].map((name) => {
      const start = performance.now();
      const probabilities = ask(name, request.image);
      return { name, probabilities, ms: performance.now() - start };
    });
    reply({ kind: "answers", id: request.id, answers });
  } else if (request.kind === "inside") {
    const { entry, network } = known(request.name);
    network.run(request.image);
    const { steps } = entry.model;
    const layers = steps.flatMap(({ label, shape, from }, i) => {
      if (!label) return [];
      const filters = from[0] && steps[from[0] - 1].op === "conv" && !steps[from[0] - 1].from[0] ? from[0] : 0;
      return [{ label, step: i + 1, shape, values: network.output(i + 1), filters }];
    });
    reply({ kind: "inside", id: request.id, name: request.name, layers });
  } else {
    const { network } = known(request.name);
    const filters = request.channels.map((c) => /** @type {[number, Float32Array]} */ ([c, network.filter(request.step, c)]));
    reply({ kind: "filters", name: request.name, step: request.step, filters });
  }
}

self.onmessage = (/** @type {MessageEvent<Request>} */ event) => answer(event.data);
