// What each layer of a network sees in the picture: the strongest channels of every layer, and one of them large.
import { fields, square, strongest } from "./picture.js";
import { drawChannel, drawFilter, drawPart, drawPicture } from "./view.js";

/**
 * @typedef {import("./worker.js").Entry} Entry
 * @typedef {import("./worker.js").Layer} Layer
 * @typedef {import("./worker.js").Request} Request
 * @typedef {import("./worker.js").Reply} Reply
 */

const FEW = 12; // channels of a layer that are shown at first

export class Inside {
  /**
   * @param {HTMLElement} section
   * @param {(request: Request) => void} send  to the worker
   */
  constructor(section, send) {
    this.section = section;
    this.send = send;
    this.rows = this.find(".net-layers");
    this.large = this.find(".net-large");
    this.network = "";
    /** @type {import("./picture.js").Field[]} */
    this.fields = [];
    /** @type {ArrayLike<number>} */
    this.seen = [];
    /** @type {Layer[]} */
    this.layers = [];
    /** @type {Map<number, number[]>} */
    this.shown = new Map(); // the channels of each layer that are shown, in their order
    /** @type {Map<string, Float32Array>} */
    this.filters = new Map();
    /** @type {{ step: number, channel: number } | null} */
    this.enlarged = null;
    section.addEventListener("click", (event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest("button");
      if (button) this.pressed(button);
    });
    section.addEventListener("keydown", (event) => this.moveAlong(event));
  }

  /**
   * @template {Element} [T=HTMLElement]
   * @param {string} selector
   * @param {Element} within
   * @returns {T}
   */
  find(selector, within = this.section) {
    return /** @type {T} */ (within.querySelector(selector));
  }

  /** After another picture, other channels may be the strongest. */
  forget() {
    this.shown.clear();
  }

  /**
   * Ask for the layers of a network.
   * @param {Entry} entry
   * @param {number} id
   * @param {ArrayLike<number>} seen
   * @param {Float32Array} image  the same, normalised
   */
  look(entry, id, seen, image) {
    if (this.network !== entry.name) {
      this.network = entry.name;
      this.fields = fields(entry.model.steps);
      this.enlarged = null;
      this.large.hidden = true;
      this.forget();
    }
    this.section.hidden = false;
    this.seen = seen;
    this.send({ kind: "inside", id, name: entry.name, image });
  }

  /** @param {Reply} reply */
  hear(reply) {
    if ((reply.kind !== "inside" && reply.kind !== "filters") || reply.name !== this.network) return;
    if (reply.kind === "inside") this.layers = reply.layers;
    else for (const [channel, filter] of reply.filters) this.filters.set(this.key(reply.step, channel), filter);
    this.show();
  }

  /**
   * @param {number} step
   * @param {number} channel
   */
  key(step, channel) {
    return `${this.network} ${step} ${channel}`;
  }

  /** @param {number} step */
  layer(step) {
    return /** @type {Layer} */ (this.layers.find((layer) => layer.step === step));
  }

  /** @param {HTMLElement} button */
  pressed(button) {
    const { all, step, channel } = button.dataset;
    if (!this.rows.dataset.look?.startsWith(`${this.network} `)) return; // the rows are still another network's
    if (all) {
      this.shown.set(Number(all), ranked(this.layer(Number(all))));
      this.show();
      this.find(`[data-row="${all}"] .net-maps button`).focus();
    }
    if (step && channel) {
      this.enlarged = { step: Number(step), channel: Number(channel) };
      const { filters } = this.layer(Number(step));
      if (filters) this.send({ kind: "filters", name: this.network, step: filters, channels: [Number(channel)] });
      this.showLarge();
      this.large.scrollIntoView({ block: "nearest" });
    }
  }

  /**
   * The arrow keys go along a row of channels.
   * @param {KeyboardEvent} event
   */
  moveAlong(event) {
    const at = /** @type {HTMLElement} */ (event.target);
    if (at.dataset.channel === undefined) return;
    const to = event.key === "ArrowRight" ? at.nextElementSibling : event.key === "ArrowLeft" ? at.previousElementSibling : null;
    if (!(to instanceof HTMLElement)) return;
    at.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
    event.preventDefault();
  }

  show() {
    for (const layer of this.layers) {
      if (!this.shown.has(layer.step)) this.shown.set(layer.step, ranked(layer).slice(0, FEW));
    }
    const wanted = this.layers.map((layer) => ({ layer, shown: this.shown.get(layer.step) ?? [] }));
    const look = `${this.network} ${wanted.map(({ layer, shown }) => `${layer.step}: ${shown}`).join("; ")}`;
    if (this.rows.dataset.look !== look) {
      this.rows.dataset.look = look;
      this.rows.replaceChildren(...wanted.map(({ layer, shown }) => row(layer, shown)));
    }
    for (const { layer, shown } of wanted) this.fill(layer, shown);
    if (this.enlarged) this.showLarge();
  }

  /**
   * Draw a row's channels.
   * @param {Layer} layer
   * @param {number[]} shown
   */
  fill(layer, shown) {
    const { step, values, shape, filters } = layer, units = shape[0] * shape[1] === 1;
    const most = peaks(layer), largest = Math.max(...most), silent = most.filter((peak) => peak <= 0).length;
    const place = this.find(`[data-row="${step}"]`);
    this.find(".net-silent", place).textContent = silent ? `, ${silent} nowhere above zero` : "";
    const missing = units && filters ? shown.filter((channel) => !this.filters.has(this.key(filters, channel))) : [];
    if (missing.length) this.send({ kind: "filters", name: this.network, step: filters, channels: missing });
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (place.querySelectorAll("[data-channel]"))) {
      const channel = Number(button.dataset.channel), canvas = /** @type {HTMLCanvasElement} */ (button.firstElementChild);
      const template = units && this.filters.get(this.key(filters, channel));
      if (template) drawFilter(canvas, template);
      else drawChannel(canvas, values, shape, channel, largest);
      button.setAttribute("aria-label", `${units ? "Unit" : "Map"} ${channel + 1}, at most ${most[channel].toFixed(1)}`);
      button.classList.toggle("silent", most[channel] <= 0);
    }
  }

  /** One channel in full: its map, its filter if that sees colours, and the places that excite it most. */
  showLarge() {
    if (!this.enlarged) return;
    const { step, channel } = this.enlarged, layer = this.layer(step), { values, shape, filters } = layer;
    const units = shape[0] * shape[1] === 1, filter = this.filters.get(this.key(filters, channel));
    const places = units ? [] : strongest(values, shape, channel);
    const squares = places.map((place) => square(this.fields[step], place));
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (this.rows.querySelectorAll("[data-channel]"))) {
      const { step: of, channel: which } = button.dataset;
      button.setAttribute("aria-pressed", String(Number(of) === step && Number(which) === channel));
    }
    const place = this.find(`[data-row="${step}"]`);
    if (place.nextElementSibling !== this.large) place.after(this.large);
    this.large.hidden = false;

    const map = this.find('[data-large="map"]', this.large), weights = this.find('[data-large="filter"]', this.large);
    map.hidden = units;
    weights.hidden = !filter;
    const largest = values.reduce((most, value) => Math.max(most, value), 0);
    if (!units) drawChannel(this.find("canvas", map), values, shape, channel, largest);
    if (filter) drawFilter(this.find("canvas", weights), filter);
    drawPicture(this.find('[data-large="picture"] canvas', this.large), this.seen);
    this.find(".net-boxes", this.large).replaceChildren(...squares.map(({ top, left, width, height }) => {
      const box = document.createElement("span");
      const [y, x, w, h] = [top, left, width, height].map((pixels) => `${pixels / 0.32}%`);
      Object.assign(box.style, { top: y, left: x, width: w, height: h });
      return box;
    }));
    this.find('[data-large="patches"]', this.large).hidden = !squares.length;
    this.find(".net-patches", this.large).replaceChildren(...squares.map((part) => {
      const canvas = document.createElement("canvas");
      drawPart(canvas, this.seen, part);
      return canvas;
    }));
    const text = units ? ofUnit(values[channel]) : ofMap(places, squares, this.fields[step].size);
    this.find("figcaption p", this.large).textContent =
      `${units ? "Unit" : "Map"} ${channel + 1} of ${shape[2]}, ${layer.label}. ${text}`;
  }
}

/** @param {number} value */
const ofUnit = (value) =>
  `It answers ${value.toFixed(2)}. It compares the whole picture with one template, and answers more the more of the ` +
  "template’s colours it finds at their places; where the template is grey it does not mind.";

/**
 * @param {{ value: number }[]} places
 * @param {ReturnType<typeof square>[]} squares
 * @param {number} size
 */
function ofMap(places, squares, size) {
  if (!places.length) return "It is nowhere above zero: nothing in this picture excites it.";
  const [{ top, left, height, width }] = squares;
  const where = `rows ${top + 1} to ${top + height} and columns ${left + 1} to ${left + width}`;
  const boxes = places.length === 1 ? "The box shows that place" : `The boxes show the ${places.length} places that excite it most`;
  return `Its largest value is ${places[0].value.toFixed(2)}, for ${where} of the picture. ${boxes}; each sees ` +
    `${size} × ${size} pixels, less at the border.`;
}

/**
 * The largest value of each channel.
 * @param {Layer} layer
 */
function peaks({ values, shape: [, , channels] }) {
  const found = new Float32Array(channels).fill(-Infinity);
  values.forEach((value, i) => (found[i % channels] = Math.max(found[i % channels], value)));
  return found;
}

/**
 * The channels of a layer, the strongest first.
 * @param {Layer} layer
 */
function ranked(layer) {
  const most = peaks(layer);
  return [...most.keys()].sort((a, b) => most[b] - most[a]);
}

/**
 * @param {Layer} layer
 * @param {number[]} shown
 */
function row({ label, step, shape: [height, width, channels] }, shown) {
  const place = document.createElement("div");
  place.dataset.row = String(step);
  const size = height * width > 1 ? `${channels} maps of ${height} × ${width}` : `${channels} units`;
  const all = `<button type="button" class="net-all" data-all="${step}">Show all<span class="visually-hidden"> of ${label}</span></button>`;
  const maps = shown.map((channel, i) => `<button type="button" data-step="${step}" data-channel="${channel}"
    tabindex="${i ? -1 : 0}"><canvas></canvas></button>`);
  place.innerHTML = `<p><strong>${label}</strong>: ${size}<span class="net-silent"></span>${shown.length < channels ? all : ""}</p>
    <div class="net-maps" role="toolbar" aria-label="${label}, the strongest of ${channels}; arrow keys move along">${maps.join("")}</div>`;
  return place;
}
