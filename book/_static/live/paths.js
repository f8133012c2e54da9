// Switch off a path: the paper's trained network, part by part and channel by channel, and its accuracy without
// what the reader silences. Every number was measured by benchmarks/paths.py and lies in paths.json.

import { make } from "./elements.js";

/**
 * @typedef {{
 *   recipe: string, seed: number, parts: Record<string, number>, channels: Record<string, (number | null)[]>,
 *   dead: { accuracy: number, changed: number }, folded: { percent: number },
 * }} Network  accuracies in per cent; null for a dead channel; `parts` by the silent ones, "conv2+skip"
 * @typedef {{ images: number, networks: Record<string, Network> }} Measured
 * @typedef {{ network: string, off: string[], channel: { part: string, index: number } | null }} State
 */

/** @type {Record<string, { reads: string[], what: string }>} */
export const PARTS = {
  conv1: { reads: [], what: "3×3 convolution" },
  conv2: { reads: ["conv1"], what: "3×3, stride 2" },
  conv3: { reads: ["conv2"], what: "3×3 convolution" },
  skip: { reads: ["conv1"], what: "1×1, stride 2" },
  conv4: { reads: ["conv3", "skip"], what: "3×3, stride 2" },
  conv5: { reads: ["conv4"], what: "3×3 convolution" },
};

/** @type {Record<string, string>} */
const RECIPES = {
  "paper": "The paper’s recipe",
  "paper-constant-rate": "The same, constant rate",
  "small": "A small network, no weight decay",
};

/** The channels of a part that are alive, those that cost most to silence first. @param {(number | null)[]} channels */
export function living(channels) {
  const alive = channels.flatMap((accuracy, index) => (accuracy === null ? [] : [{ index, accuracy }]));
  return alive.sort((a, b) => a.accuracy - b.accuracy || a.index - b.index);
}

/** Whether anything that depends on the image comes out of a part. @param {Network} network @param {string[]} off
 * @param {string} part @returns {boolean} */
export function carries(network, off, part) {
  const { reads } = PARTS[part];
  const fed = reads.length === 0 || reads.some((before) => carries(network, off, before));
  return fed && !off.includes(part) && network.channels[part].some((accuracy) => accuracy !== null);
}

/** The accuracy in per cent. @param {Network} network @param {State} state */
export function accuracy(network, { off, channel }) {
  if (channel) return network.channels[channel.part][channel.index] ?? network.parts[""];
  return network.parts[Object.keys(PARTS).filter((part) => off.includes(part)).join("+")];
}

/** Points lost, or gained, in words. @param {number} before @param {number} after */
export function difference(before, after) {
  const points = Math.abs(before - after);
  if (points < 0.005) return "exactly as many as with everything on";
  const size = points < 1 ? points.toFixed(2) : points.toFixed(1);
  return `${size} points ${after < before ? "fewer" : "more"} than with everything on`;
}

/** What the reader has done, in a sentence. @param {Network} network @param {State} state */
export function verdict(network, state) {
  const whole = network.parts[""];
  const now = accuracy(network, state);
  if (state.channel) {
    return `Channel ${state.channel.index} of ${state.channel.part} is silent, everything else is on: ${difference(whole, now)}.`;
  }
  if (!state.off.length) return "Everything is on. Silence a part by its switch, or a single channel by its square.";
  const names = Object.keys(PARTS).filter((part) => state.off.includes(part));
  const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  const without = `Without ${list}: ${difference(whole, now)}.`;
  if (carries(network, state.off, "conv5")) return without;
  return `${without} Nothing of the image reaches the last layer, so every image gets the same answer: guessing among ten classes.`;
}

/** The number of dead channels and of all. @param {Network} network */
export function count(network) {
  const all = Object.values(network.channels).flat();
  return { dead: all.filter((accuracy) => accuracy === null).length, all: all.length };
}

/** A group of radio buttons, each with its text and perhaps a second line.
 * @param {string} name @param {string} legend @param {[string, string, HTMLElement?][]} options
 * @param {string} chosen @param {(value: string) => void} choose */
function radios(name, legend, options, chosen, choose) {
  const group = make("fieldset", {}, make("legend", {}, legend));
  for (const [value, text, below] of options) {
    const input = make("input", { type: "radio", name, value });
    input.checked = value === chosen;
    input.addEventListener("change", () => choose(value));
    group.append(make("label", {}, input, make("span", {}, text, ...(below ? [" ", below] : []))));
  }
  return group;
}

/** One part of the network: its switch, its living channels as squares, its dead ones as dots.
 * @param {string} part @param {Network} network @param {(event: string, index?: number) => void} act */
function card(part, network, act) {
  const channels = network.channels[part];
  const alive = living(channels);
  const dead = channels.length - alive.length;
  const toggle = make("button", { type: "button", role: "switch", class: "paths-switch" },
    make("b", {}, part), make("span", {}, PARTS[part].what));
  toggle.addEventListener("click", () => act("toggle"));
  const squares = make("div", { role: "group", class: "paths-squares", "aria-label": `Living channels of ${part}` });
  for (const { index, accuracy } of alive) {
    const loss = network.parts[""] - accuracy;
    const text = loss > 0 ? String(Math.round(loss)) : "0";
    const square = make("button", {
      type: "button", tabindex: squares.children.length ? "-1" : "0", "data-channel": String(index),
      "aria-label": `${text} points, channel ${index} of ${part}: silent, ${difference(network.parts[""], accuracy)}`,
      style: `--loss: ${Math.round(Math.min(1, Math.max(0, loss) / 40) * 100)}%`,
    }, text);
    square.addEventListener("click", () => act("channel", index));
    squares.append(square);
  }
  squares.addEventListener("keydown", (event) => {
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 });
    const all = /** @type {HTMLElement[]} */ ([...squares.children]);
    const next = all[all.indexOf(/** @type {HTMLElement} */ (event.target)) + (steps[event.key] ?? NaN)];
    if (!(event.key in steps)) return;
    event.preventDefault();
    if (next) focusOn(all, next);
  });
  const dots = make("div", { role: "img", class: "paths-dots", "aria-label": `${dead} dead channels` });
  for (let i = 0; i < dead; i++) dots.append(make("i"));
  const said = `${alive.length} of ${channels.length} alive`;
  return make("div", { class: `paths-card paths-${part}`, "data-part": part }, toggle,
    make("p", {}, said), squares, ...(dead ? [dots] : []));
}

/** Only one square of a group is a stop of the Tab key. @param {HTMLElement[]} all @param {HTMLElement} next */
function focusOn(all, next) {
  for (const square of all) square.tabIndex = square === next ? 0 : -1;
  next.focus();
}

/** `data-recipe` limits the drawing to one recipe, where the others would tell an answer too soon.
 * @param {HTMLElement} element */
export async function start(element) {
  const answer = await fetch(new URL("paths.json", import.meta.url));
  if (!answer.ok) throw new Error(`paths.json: ${answer.status}`);
  /** @type {Measured} */
  const measured = await answer.json();
  const { recipe: only } = element.dataset;
  for (const [name, { recipe }] of Object.entries(measured.networks)) {
    if (only && recipe !== only) delete measured.networks[name];
  }
  /** @type {State} */
  const state = { network: "paper-seed0", off: [], channel: null };
  const current = () => measured.networks[state.network];

  const choose = make("div", { class: "paths-choose" });
  const net = make("div", { class: "paths-net", role: "group", "aria-label": "The network, from image to classes" });
  const value = make("p", { class: "paths-value" });
  const bar = make("div", { class: "paths-bar", "aria-hidden": "true" }, make("i"), make("b"), make("u"));
  const scale = make("div", { class: "paths-scale", "aria-hidden": "true" },
    make("span", { style: "left: 10%" }, "guessing"), make("span", { style: "left: var(--whole)" }, "all on"));
  const words = make("p", { class: "paths-words" });
  const reset = make("button", { type: "button", class: "paths-reset" }, "Switch everything on");
  const result = make("div", { class: "paths-result" }, make("div", { role: "status" }, value, bar, scale, words), reset);
  /** @type {Map<string, HTMLElement>} */
  const beside = new Map(); // the accuracy of each seed, with the same parts silent
  const facts = make("p", { class: "paths-facts" });
  const legend = make("p", { class: "paths-legend" });
  legend.innerHTML = "<i class='paths-key'>7</i> a living channel and the points that its silence costs " +
    "<i class='paths-key-dot'></i> a dead one";
  reset.addEventListener("click", () => { state.off = []; state.channel = null; show(); });

  /** What is silent stays so, but each network has channels of its own. @param {string} name */
  function open(name) {
    Object.assign(state, { network: name, channel: null });
    build();
    show();
  }

  function build() {
    const { recipe, seed } = current();
    const names = Object.keys(RECIPES).filter((each) => Object.values(measured.networks).some((n) => n.recipe === each));
    const seeds = Object.values(measured.networks).filter((n) => n.recipe === recipe).map((n) => String(n.seed));
    const focused = /** @type {HTMLInputElement | null} */ (choose.querySelector("input:focus"));
    const id = element.id || "paths";
    const recipes = radios(`${id}-recipe`, "Trained with", names.map((each) => [each, RECIPES[each]]), recipe,
      (each) => open(measured.networks[`${each}-seed${seed}`] ? `${each}-seed${seed}` : `${each}-seed0`));
    beside.clear();
    for (const each of seeds) beside.set(`${recipe}-seed${each}`, make("small"));
    const starts = radios(`${id}-seed`, "The same training from other starting points",
      seeds.map((each) => [each, `seed ${each}`, beside.get(`${recipe}-seed${each}`)]), String(seed),
      (each) => open(`${recipe}-seed${each}`));
    choose.replaceChildren(...(names.length > 1 ? [recipes] : []), starts);
    if (focused) {
      /** @type {HTMLElement | null} */ (choose.querySelector(`input[name="${focused.name}"][value="${focused.value}"]`))?.focus();
    }
    const cards = Object.keys(PARTS).map((part) => card(part, current(), (event, index) => {
      if (event === "toggle") {
        state.off = state.off.includes(part) ? state.off.filter((each) => each !== part) : [...state.off, part];
        state.channel = null;
      } else {
        const same = state.channel?.part === part && state.channel.index === index;
        state.off = [];
        state.channel = same ? null : { part, index: index ?? 0 };
      }
      show();
    }));
    const box = (/** @type {string} */ name, /** @type {string} */ text) =>
      make("div", { class: `paths-box paths-${name}` }, text);
    net.replaceChildren(box("image", "image, 32×32"), ...cards.slice(0, 4), box("concat", "both, side by side"),
      ...cards.slice(4), box("linear", "max pool, linear layer: ten classes"));
    const { dead, all } = count(current());
    const changed = current().dead.changed;
    const rest = !dead ? "Every channel is alive." :
      `${dead} of ${all} channels are dead. Silencing all of these at once changes ${changed || "none"} of ` +
      `${measured.images.toLocaleString("en")} answers.`;
    facts.textContent = `${rest} With batch norm folded into the convolutions, ${current().folded.percent} % of their weights are exactly 0.`;
  }

  function show() {
    const network = current();
    const now = accuracy(network, state);
    value.replaceChildren(make("b", {}, `${now.toFixed(1)} %`), ` of ${measured.images.toLocaleString("en")} validation images right`);
    result.style.setProperty("--now", `${now}%`);
    result.style.setProperty("--whole", `${network.parts[""]}%`);
    for (const [name, text] of beside) {
      const there = name === state.network ? now : accuracy(measured.networks[name], { ...state, channel: null });
      text.textContent = `${there.toFixed(1)} %`;
    }
    words.textContent = verdict(network, state);
    reset.disabled = !state.off.length && !state.channel;
    for (const each of net.querySelectorAll("[data-part]")) {
      const part = /** @type {HTMLElement} */ (each).dataset.part ?? "";
      const on = !state.off.includes(part);
      const fed = PARTS[part].reads.map((before) => carries(network, state.off, before));
      each.classList.toggle("paths-off", !on);
      each.classList.toggle("paths-starved", fed.length > 0 && !fed.some(Boolean));
      each.querySelector("[role=switch]")?.setAttribute("aria-checked", String(on));
      for (const square of each.querySelectorAll("[data-channel]")) {
        const index = Number(/** @type {HTMLElement} */ (square).dataset.channel);
        square.setAttribute("aria-pressed", String(state.channel?.part === part && state.channel.index === index));
      }
    }
    for (const [name, before] of [["concat", ["conv3", "skip"]], ["linear", ["conv5"]]]) {
      const fed = /** @type {string[]} */ (before).map((part) => carries(network, state.off, part));
      const box = net.querySelector(`.paths-${name}`);
      box?.classList.toggle("paths-starved", !fed.some(Boolean));
      box?.classList.toggle("paths-left-starved", name === "concat" && !fed[0]);
      box?.classList.toggle("paths-right-starved", name === "concat" && !fed[1]);
    }
  }

  build();
  show();
  element.replaceChildren(make("div", { class: "paths" }, choose,
    make("div", { class: "paths-body" }, net, result, make("div", { class: "paths-notes" }, legend, facts))));
}
