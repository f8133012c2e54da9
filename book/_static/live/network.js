// Try the network: a picture, what three trained networks say to it, and why. The networks run in a worker and
// are fetched when the reader first does something; see network/engine.js.
import { camera, drawing, fromFile } from "./network/own.js";
import { SIDE, UNCHANGED, changed, evidence, fields, middleOf, normalised, square, strongest } from "./network/picture.js";
import { controls, inside, why } from "./network/page.js";
import { drawChannel, drawEvidence, drawFilter, drawPart, drawPicture, percent, showBars } from "./network/view.js";

/**
 * @typedef {import("./network/worker.js").Entry} Entry
 * @typedef {import("./network/worker.js").Layer} Layer
 * @typedef {import("./network/worker.js").Request} Request
 * @typedef {import("./network/worker.js").Reply} Reply
 * @typedef {{ classes: string[], shown: number[], order: number[], networks: Entry[] }} Described
 */

const MODELS = new URL("./models/", import.meta.url);
const SPRITE = new URL("./network/images.webp", import.meta.url);
const FEW = 12; // channels of a layer that are shown at first

/** @param {HTMLElement} element */
export async function start(element) {
  const answer = await fetch(new URL("networks.json", MODELS));
  if (!answer.ok) throw new Error(`${answer.status} ${answer.url}`);
  new Part(element, await answer.json(), await readSprite());
}

/** The test images. */
async function readSprite() {
  const image = new Image();
  image.src = SPRITE.href;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  const paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  paint.drawImage(image, 0, 0);
  return Array.from({ length: image.width / SIDE }, (_, i) =>
    paint.getImageData(i * SIDE, 0, SIDE, SIDE).data.filter((_, place) => place % 4 < 3));
}

class Part {
  /**
   * @param {HTMLElement} element
   * @param {Described} described
   * @param {Uint8ClampedArray[]} images
   */
  constructor(element, described, images) {
    this.element = element;
    this.described = described;
    this.images = images;
    this.first = Number(element.dataset.first);
    this.picture = images[this.first];
    this.seen = this.picture;
    this.change = { ...UNCHANGED };
    /** @type {number | null} */
    this.truth = described.shown[this.first];
    this.pictureName = "";
    this.chosen = described.networks[described.networks.length - 1].name;
    /** @type {Record<string, number[]>} */
    this.answers = {};
    this.id = 0; // of the latest question
    this.waiting = false;
    this.again = false;
    /** @type {Worker | null} */
    this.worker = null;
    /** @type {Layer[]} */
    this.layers = [];
    /** @type {Map<string, number[]>} */
    this.channels = new Map(); // which channels of a layer are shown, strongest first
    /** @type {Map<string, Float32Array>} */
    this.filters = new Map();
    /** @type {{ step: number, channel: number } | null} */
    this.enlarged = null;
    this.closePanel = () => {};
    this.build();
  }

  /**
   * @template {Element} [T=HTMLElement]
   * @param {string} selector
   * @returns {T}
   */
  $(selector) {
    return /** @type {T} */ (this.element.querySelector(selector));
  }

  entry(name = this.chosen) {
    return /** @type {Entry} */ (this.described.networks.find((entry) => entry.name === name));
  }

  // The page

  build() {
    const { classes, shown, networks } = this.described;
    const bytes = networks.reduce((sum, entry) => sum + entry.bytes, 0);
    const parts = controls(shown.map((label) => classes[label]), SPRITE.href, this.first, bytes);
    this.$(".net-stage").insertAdjacentHTML("beforebegin", parts.choose);
    this.$(".net-image").outerHTML = parts.canvas;
    this.$(".net-stage").insertAdjacentHTML("beforeend", parts.change);
    this.$(".net-cards").insertAdjacentHTML("afterend", `<p class="net-status" role="status"></p>
      <p class="net-told visually-hidden" role="status"></p>${inside(networks, this.chosen)}${why()}`);
    this.caption();
    this.draw();

    this.element.addEventListener("change", (event) => this.changedControl(/** @type {HTMLInputElement} */ (event.target)));
    this.element.addEventListener("input", (event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      if (input.dataset.change) this.slide(input);
    });
    this.element.addEventListener("click", (event) => {
      const target = /** @type {HTMLInputElement} */ (event.target), button = target.closest("button");
      if (button) this.pressed(button);
      // The image that is chosen from the start changes nothing when the reader takes it.
      if (target.name === "net-image" && !this.worker) this.changedControl(target);
    });
    this.element.addEventListener("keydown", (event) => this.moveAlong(event));
    this.dropAndPaste();
    this.coverByDragging();
  }

  /** @param {HTMLInputElement} input */
  changedControl(input) {
    if (input.name === "net-image") this.take(this.images[Number(input.value)], "", Number(input.value));
    if (input.type === "file" && input.files?.[0]) {
      this.open(input.files[0]);
      input.value = "";
    }
    if (input.name === "net-network") {
      this.chosen = input.value;
      this.look();
    }
    if (input.dataset.change === "shuffled") this.slide(input);
  }

  /** @param {HTMLInputElement} input */
  slide(input) {
    const { change } = this;
    const name = /** @type {keyof typeof change} */ (input.dataset.change);
    const value = input.type === "checkbox" ? input.checked : input.valueAsNumber;
    this.apply({ ...change, [name]: name === "brightness" ? Number(value) / 100 : value });
  }

  /** @param {HTMLElement} button */
  pressed(button) {
    const { action, step, channel, all } = button.dataset;
    if (action === "camera") this.openCamera();
    if (action === "draw") {
      this.closePanel();
      const close = () => this.hidePanel("draw");
      this.closePanel = drawing(this.$(".net-panel"), (picture, name) => this.take(picture, name), close);
    }
    if (action === "reset") this.apply({ ...UNCHANGED });
    if (action === "map") this.map();
    if (all) {
      this.channels.set(all, this.ranked(this.layer(Number(all)), Infinity));
      this.showLayers();
      this.$(`[data-row="${all}"] .net-maps button`).focus();
    }
    if (channel) this.enlarge(Number(step), Number(channel));
  }

  /**
   * The arrow keys go along a row of channels.
   * @param {KeyboardEvent} event
   */
  moveAlong(event) {
    const at = /** @type {HTMLElement} */ (event.target);
    const next = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    if (!next || at.dataset.channel === undefined) return;
    const to = /** @type {any} */ (at)[next];
    if (!(to instanceof HTMLButtonElement)) return;
    at.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
    event.preventDefault();
  }

  dropAndPaste() {
    const { element } = this;
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      element.classList.add("net-over");
    });
    element.addEventListener("dragleave", () => element.classList.remove("net-over"));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      element.classList.remove("net-over");
      const file = event.dataTransfer?.files[0];
      if (file) this.open(file);
    });
    document.addEventListener("paste", (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
      if (file) this.open(file);
    });
  }

  coverByDragging() {
    const canvas = this.$(".net-image");
    /** @param {PointerEvent} event */
    const cover = (event) => {
      const box = canvas.getBoundingClientRect();
      /** @type {(share: number) => number} */
      const pixel = (share) => Math.max(0, Math.min(SIDE - 1, Math.floor(share * SIDE)));
      this.apply({
        ...this.change,
        size: this.change.size || 8,
        row: pixel((event.clientY - box.top) / box.height),
        column: pixel((event.clientX - box.left) / box.width),
      });
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      cover(event);
    });
    canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && cover(event));
  }

  // The picture

  /** @param {File} file */
  async open(file) {
    try {
      this.take(await fromFile(file), file.name ? `your picture ${file.name}` : "your picture");
    } catch {
      this.say(`This browser cannot read ${file.name || "that"} as a picture: try a JPEG or PNG file.`);
    }
  }

  async openCamera() {
    this.closePanel();
    try {
      const close = () => this.hidePanel("camera");
      this.closePanel = await camera(this.$(".net-panel"), (picture, name) => this.take(picture, name), close);
    } catch {
      this.say("The camera cannot be used: the browser or its settings refuse it. A file serves as well.");
    }
  }

  /** @param {string} from  the button that opened it */
  hidePanel(from) {
    this.closePanel = () => {};
    this.$(".net-panel").hidden = true;
    this.$(".net-panel").replaceChildren();
    this.$(`[data-action="${from}"]`).focus();
  }

  /**
   * @param {Uint8ClampedArray} picture
   * @param {string} name  empty for a test image
   * @param {number | null} image  its number in the sprite
   */
  take(picture, name, image = null) {
    const other = name !== this.pictureName || image !== null;
    this.picture = picture;
    this.pictureName = name;
    this.truth = image === null ? null : this.described.shown[image];
    if (image === null) {
      for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (this.element.querySelectorAll('[name="net-image"]'))) {
        radio.checked = false;
      }
    }
    if (other) this.channels.clear();
    this.caption();
    this.apply(this.change);
  }

  caption() {
    const what = this.truth === null ? this.pictureName : `a test image: ${this.described.classes[this.truth]}`;
    this.$("figcaption").textContent = `${what[0].toUpperCase()}${what.slice(1)}, 32 × 32 pixels`;
    this.$(".net-image").setAttribute("aria-label", `What the networks get, ${what}`);
  }

  /** @param {import("./network/picture.js").Change} change */
  apply(change) {
    this.change = change;
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (this.element.querySelectorAll("[data-change]"))) {
      const value = change[/** @type {keyof typeof change} */ (input.dataset.change)];
      if (typeof value === "boolean") input.checked = value;
      else input.value = String(input.dataset.change === "brightness" ? Math.round(100 * value) : value);
      const shown = input.parentElement?.querySelector("output");
      if (shown) shown.textContent = input.value + (input.dataset.unit ?? "");
    }
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (this.element.querySelectorAll("[data-needs-patch]"))) {
      place.hidden = !change.size;
    }
    this.draw();
    this.ask();
  }

  draw() {
    this.seen = changed(this.picture, this.change, this.described.order);
    drawPicture(this.$(".net-image"), this.seen);
  }

  // Questions and answers

  /** @param {Request} request */
  send(request) {
    if (!this.worker) {
      this.worker = new Worker(new URL("./network/worker.js", import.meta.url), { type: "module" });
      this.worker.onmessage = (event) => this.hear(event.data);
      this.worker.onerror = () => this.say("The networks cannot run in this browser.");
      this.say("The networks are being fetched …");
      for (const card of this.element.querySelectorAll(".net-card")) card.setAttribute("aria-busy", "true");
      /** @type {Request} */
      const load = { kind: "load", folder: MODELS.href, entries: this.described.networks,
        plain: this.element.dataset.plain !== undefined };
      this.worker.postMessage(load);
    }
    this.worker.postMessage(request);
  }

  /** Ask all networks; while an answer is awaited, only the latest picture waits for its turn. */
  ask() {
    this.stopMap();
    if (this.waiting) {
      this.again = true;
      return;
    }
    this.waiting = true;
    this.send({ kind: "answer", id: ++this.id, image: normalised(this.seen) });
  }

  /** @param {Reply} reply */
  hear(reply) {
    if (reply.kind === "loaded") {
      this.element.dataset.machine = reply.machine;
      this.element.dataset.loaded = `${this.element.dataset.loaded ?? ""} ${reply.name}`.trim();
      this.ask();
    }
    if (reply.kind === "failed") {
      this.say(`The network “${this.entry(reply.name).title}” could not be fetched: check the connection, then load the page again.`);
    }
    if (reply.kind === "answers") this.hearAnswers(reply.answers);
    if (reply.kind === "inside" && reply.name === this.chosen) {
      this.layers = reply.layers;
      this.showLayers();
    }
    if (reply.kind === "filters") {
      for (const [channel, filter] of reply.filters) this.filters.set(`${reply.name} ${reply.step} ${channel}`, filter);
      if (reply.name === this.chosen) this.showLayers();
    }
    if (reply.kind === "map" && reply.id === this.mapId) this.showMap(reply.drops, reply.done);
  }

  /** @param {{ name: string, probabilities: number[], ms: number }[]} answers */
  hearAnswers(answers) {
    this.waiting = false;
    for (const { name, probabilities, ms } of answers) {
      this.answers[name] = probabilities;
      const card = this.$(`[data-network="${name}"]`);
      showBars(/** @type {HTMLElement} */ (card.querySelector("ol")), probabilities, this.described.classes, this.truth);
      const time = /** @type {HTMLElement} */ (card.querySelector(".net-time"));
      time.textContent = `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms here`;
      time.dataset.ms = String(ms);
      card.dataset.answered = String(this.id);
      card.removeAttribute("aria-busy");
    }
    if (this.again) {
      this.again = false;
      this.ask();
      return;
    }
    if (!answers.length) return;
    if (Object.keys(this.answers).length === this.described.networks.length) this.say("");
    clearTimeout(this.telling);
    this.telling = setTimeout(() => (this.$(".net-told").textContent = this.summary()), 600);
    this.look();
  }

  summary() {
    const said = this.described.networks.filter(({ name }) => this.answers[name]).map(({ name, title }) => {
      const { label, share } = this.likeliest(name);
      return `${title}: ${this.described.classes[label]}, ${percent(share)}`;
    });
    return `${said.join(". ")}.`;
  }

  likeliest(name = this.chosen) {
    const share = Math.max(...this.answers[name]);
    return { share, label: this.answers[name].indexOf(share) };
  }

  /** @param {string} text */
  say(text) {
    this.$(".net-status").textContent = text;
  }

  // Inside

  /** Show what the layers of the chosen network compute. */
  look() {
    this.stopMap();
    if (!this.answers[this.chosen]) return;
    if (this.shownNetwork !== this.chosen) {
      this.channels.clear();
      this.enlarged = null;
      this.$(".net-large").hidden = true;
      this.shownNetwork = this.chosen;
    }
    this.$(".net-inside").hidden = this.$(".net-why").hidden = false;
    const { label, share } = this.likeliest();
    this.$(".net-asked").textContent =
      `${this.entry().title} says “${this.described.classes[label]}”, ${percent(share)}.`;
    this.send({ kind: "inside", id: this.id, name: this.chosen, image: normalised(this.seen) });
  }

  /** @param {number} step */
  layer(step) {
    return /** @type {Layer} */ (this.layers.find((layer) => layer.step === step));
  }

  /**
   * The channels of a layer, the strongest first.
   * @param {Layer} layer
   * @param {number} most
   */
  ranked({ values, shape: [, , channels] }, most) {
    const peaks = new Float32Array(channels);
    values.forEach((value, i) => (peaks[i % channels] = Math.max(peaks[i % channels], value)));
    return [...peaks.keys()].sort((a, b) => peaks[b] - peaks[a]).slice(0, most);
  }

  showLayers() {
    const rows = this.$(".net-layers");
    const wanted = this.layers.map((layer) => {
      const key = String(layer.step);
      if (!this.channels.has(key)) this.channels.set(key, this.ranked(layer, FEW));
      return { layer, key, shown: /** @type {number[]} */ (this.channels.get(key)) };
    });
    const look = `${this.chosen} ${wanted.map(({ key, shown }) => `${key}: ${shown}`).join("; ")}`;
    if (rows.dataset.look !== look) {
      rows.dataset.look = look;
      rows.replaceChildren(...wanted.map(({ layer, shown }) => this.row(layer, shown)));
    }
    for (const { layer, shown } of wanted) this.fillRow(layer, shown);
    if (this.enlarged) this.showLarge();
  }

  /**
   * @param {Layer} layer
   * @param {number[]} shown
   */
  row({ label, step, shape: [height, width, channels] }, shown) {
    const row = document.createElement("div");
    row.dataset.row = String(step);
    const size = height * width > 1 ? `${channels} maps of ${height} × ${width}` : `${channels} units`;
    const all = shown.length < channels
      ? `<button type="button" class="net-all" data-all="${step}">Show all<span class="visually-hidden"> of ${label}</span></button>`
      : "";
    row.innerHTML = `<p><strong>${label}</strong>: ${size}<span class="net-silent"></span>${all}</p>
      <div class="net-maps" role="toolbar" aria-label="${label}, the strongest of ${channels}; arrow keys move along">
      ${shown.map((channel, i) => `<button type="button" data-step="${step}" data-channel="${channel}"
        tabindex="${i ? -1 : 0}"><canvas></canvas></button>`).join("")}</div>`;
    return row;
  }

  /**
   * @param {Layer} layer
   * @param {number[]} shown
   */
  fillRow(layer, shown) {
    const { step, values, shape, label, filters } = layer, [height, width, channels] = shape;
    const peaks = new Float32Array(channels);
    values.forEach((value, i) => (peaks[i % channels] = Math.max(peaks[i % channels], value)));
    const silent = peaks.filter((peak) => peak <= 0).length, largest = Math.max(...peaks);
    this.$(`[data-row="${step}"] .net-silent`).textContent = silent ? `, ${silent} silent here` : "";
    const units = height * width === 1;
    const missing = units && filters ? shown.filter((c) => !this.filters.has(`${this.chosen} ${filters} ${c}`)) : [];
    if (missing.length) this.send({ kind: "filters", name: this.chosen, step: filters, channels: missing });
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (this.element.querySelectorAll(`[data-step="${step}"]`))) {
      const channel = Number(button.dataset.channel), canvas = /** @type {HTMLCanvasElement} */ (button.firstElementChild);
      const template = units && this.filters.get(`${this.chosen} ${filters} ${channel}`);
      if (template) drawFilter(canvas, template);
      else drawChannel(canvas, values, shape, channel, largest);
      button.setAttribute("aria-label", `${units ? "Unit" : "Map"} ${channel + 1}, at most ${peaks[channel].toFixed(1)}`);
      button.classList.toggle("silent", peaks[channel] <= 0);
    }
  }

  /**
   * @param {number} step
   * @param {number} channel
   */
  enlarge(step, channel) {
    this.enlarged = { step, channel };
    const { filters } = this.layer(step);
    if (filters) this.send({ kind: "filters", name: this.chosen, step: filters, channels: [channel] });
    this.showLarge();
    this.$(".net-large").scrollIntoView({ block: "nearest" });
  }

  /** One channel in full: its map, its filter if that sees colours, and the places that excite it most. */
  showLarge() {
    if (!this.enlarged) return;
    const { step, channel } = this.enlarged, layer = this.layer(step), panel = this.$(".net-large");
    const { label, shape, values, filters } = layer, [rows, columns, channels] = shape;
    for (const button of this.element.querySelectorAll(".net-maps button")) {
      const { step: ofRow, channel: of } = /** @type {HTMLElement} */ (button).dataset;
      button.setAttribute("aria-pressed", String(Number(ofRow) === step && Number(of) === channel));
    }
    const units = rows * columns === 1, filter = this.filters.get(`${this.chosen} ${filters} ${channel}`);
    const places = units ? [] : strongest(values, shape, channel);
    const field = fields(this.entry().model.steps)[step];
    const squares = places.map((place) => square(field, place));
    panel.hidden = false;
    const map = /** @type {HTMLElement} */ (panel.querySelector('[data-large="map"]'));
    const kernel = /** @type {HTMLElement} */ (panel.querySelector('[data-large="filter"]'));
    map.hidden = units;
    kernel.hidden = !filter;
    const largest = values.reduce((most, value) => Math.max(most, value), 0);
    if (!units) drawChannel(/** @type {HTMLCanvasElement} */ (map.querySelector("canvas")), values, shape, channel, largest);
    if (filter) drawFilter(/** @type {HTMLCanvasElement} */ (kernel.querySelector("canvas")), filter);
    drawPicture(this.$('[data-large="picture"] canvas'), this.seen);
    this.$(".net-boxes").replaceChildren(...squares.map(({ top, left, width, height }) => {
      const box = document.createElement("span");
      box.style.cssText = `top: ${top / 0.32}%; left: ${left / 0.32}%; width: ${width / 0.32}%; height: ${height / 0.32}%`;
      return box;
    }));
    this.$(".net-patches").replaceChildren(...squares.map((part) => {
      const canvas = document.createElement("canvas");
      drawPart(canvas, this.seen, part);
      return canvas;
    }));
    const what = `${units ? "Unit" : "Map"} ${channel + 1} of ${channels}, ${label}. `;
    const most = places[0] ? `Largest value ${places[0].value.toFixed(2)}` : "";
    const text = units
      ? `It answers ${values[channel].toFixed(2)}${values[channel] > 0 ? "" : ": it is silent"}. It compares the whole picture with one template: it looks for the template’s colours where they differ from grey.`
      : places.length
        ? `${most}, at row ${squares[0].top + 1} to ${squares[0].top + squares[0].height}, column ${squares[0].left + 1} to ${squares[0].left + squares[0].width} of the picture. The boxes show the ${places.length === 1 ? "place that excites" : `${places.length} places that excite`} it most; each place sees ${field.size} × ${field.size} pixels.`
        : "It is silent: nothing in this picture excites it.";
    this.$(".net-large figcaption").textContent = what + text;
  }

  // Why

  map() {
    if (!this.answers[this.chosen]) return;
    this.mapId = ++this.maps;
    this.mapTarget = this.likeliest();
    this.send({ kind: "map", id: this.mapId, name: this.chosen, image: normalised(this.seen), target: this.mapTarget.label });
    this.$('[data-action="map"]').setAttribute("aria-disabled", "true");
  }

  maps = 0;
  mapId = 0;
  mapTarget = { label: 0, share: 0 };
  shownNetwork = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  telling = undefined;

  /** A map of another picture or network would mislead. */
  stopMap() {
    if (!this.mapId) return;
    this.mapId = 0;
    this.send({ kind: "stop" });
    this.$(".net-evidence").hidden = true;
    this.$(".net-found").textContent = "";
    this.$('[data-action="map"]').removeAttribute("aria-disabled");
  }

  /**
   * @param {Float32Array} drops
   * @param {number} done
   */
  showMap(drops, done) {
    this.$(".net-evidence").hidden = false;
    drawEvidence(this.$(".net-evidence canvas"), this.seen, evidence(drops));
    const found = this.$(".net-found"), name = this.described.classes[this.mapTarget.label];
    if (done < drops.length) {
      found.textContent = "";
      return;
    }
    this.$('[data-action="map"]').removeAttribute("aria-disabled");
    const most = Math.max(...drops), [row, column] = middleOf(drops.indexOf(most)).map((place) => place + 1);
    found.textContent = most < 0.01
      ? `No single square matters: wherever it lies, “${name}” keeps its probability within a point.`
      : `Covered around row ${row}, column ${column}, “${name}” falls from ${percent(this.mapTarget.share)} to ${percent(this.mapTarget.share - most)}.`;
  }
}
