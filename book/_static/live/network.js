// Try the network: a picture, what three trained networks say to it, and why. The networks run in a worker and
// are fetched when the reader first does something; see network/engine.js.
import { Inside } from "./network/inside.js";
import { camera, drawing, fromFile } from "./network/own.js";
import { SIDE, UNCHANGED, changed, normalised } from "./network/picture.js";
import { controls, glance, inside, why } from "./network/page.js";
import { drawPicture, percent, showBars } from "./network/view.js";
import { Why } from "./network/why.js";

/**
 * @typedef {import("./network/worker.js").Entry} Entry
 * @typedef {import("./network/worker.js").Request} Request
 * @typedef {import("./network/worker.js").Reply} Reply
 * @typedef {{ classes: string[], shown: number[], order: number[], networks: Entry[] }} Described
 */

const MODELS = new URL("./models/", import.meta.url);
const SPRITE = new URL("./network/images.webp", import.meta.url);

/** @param {HTMLElement} element */
export async function start(element) {
  const answer = await fetch(new URL("networks.json", MODELS));
  if (!answer.ok) throw new Error(`${answer.status} ${answer.url}`);
  const part = new Part(element, await answer.json(), await readSprite());
  requestAnimationFrame(() => part.follow(location.hash)); // once the page has its final heights
  addEventListener("hashchange", () => part.follow(location.hash));
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
    this.chosen = described.networks[described.networks.length - 1].name; // the network that is looked into
    /** @type {Record<string, number[]>} */
    this.answers = {};
    this.id = 0; // of the latest question
    this.waiting = false;
    this.again = false;
    this.taken = 0; // pictures so far, and files that are being read
    /** @type {Worker | null} */
    this.worker = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.telling = undefined;
    this.closePanel = () => {};
    this.build();
    /** @type {(request: Request) => void} */
    const send = (request) => this.send(request);
    this.inside = new Inside(this.$(".net-inside"), send);
    this.why = new Why(this.$(".net-why"), send);
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
    const parts = controls(shown.map((label) => classes[label]), this.first, bytes);
    this.$(".net-stage").insertAdjacentHTML("beforebegin", parts.choose);
    this.$(".net-image").outerHTML = parts.canvas;
    this.$(".net-stage").insertAdjacentHTML("beforeend", parts.change);
    this.$(".net-picture").insertAdjacentHTML("beforeend", glance(networks));
    for (const { name } of networks) this.glance(name);
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

  /** A link such as #picture-3 chooses a test image and leads to the answers. @param {string} hash */
  follow(hash) {
    const image = /^#picture-(\d+)$/.exec(hash)?.[1];
    const radio = /** @type {HTMLInputElement | null} */ (image && this.element.querySelector(`[name="net-image"][value="${image}"]`));
    if (!radio) return;
    radio.checked = true;
    this.changedControl(radio);
    this.$(".net-stage").scrollIntoView();
  }

  /** @param {HTMLInputElement} input */
  slide(input) {
    const { change } = this;
    const name = /** @type {keyof typeof change} */ (input.dataset.change);
    const number = input.valueAsNumber;
    const value = name === "shuffled" ? input.checked
      : name === "brightness" ? number / 100
      : name === "row" || name === "column" ? number - 1 // readers count from 1
      : number;
    this.apply({ ...change, [name]: value });
  }

  /** @param {HTMLElement} button */
  pressed(button) {
    const { action } = button.dataset;
    if (action === "camera") this.openCamera();
    if (action === "draw") {
      this.closePanel();
      const close = () => this.hidePanel("draw");
      let begun = false;
      this.closePanel = drawing(this.$(".net-panel"), (picture, name) => {
        this.take(picture, name, null, begun);
        begun = true;
      }, close);
    }
    if (action === "reset") this.apply({ ...UNCHANGED });
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
      if (event.button !== 0) return; // another button opens the browser's menu
      canvas.setPointerCapture(event.pointerId);
      cover(event);
    });
    canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && cover(event));
  }

  // The picture

  /** @param {File} file */
  async open(file) {
    const turn = ++this.taken;
    try {
      const picture = await fromFile(file);
      // A large file is slow to read: what the reader has chosen since then stays.
      if (turn === this.taken) this.take(picture, file.name ? `your picture ${file.name}` : "your picture");
    } catch {
      if (turn === this.taken) this.say(`This browser cannot read ${file.name || "that"} as a picture: try a JPEG or PNG file.`);
    }
  }

  async openCamera() {
    this.closePanel();
    let wanted = true; // until the reader opens another panel while the browser asks for leave
    this.closePanel = () => (wanted = false);
    try {
      const close = () => this.hidePanel("camera");
      await camera(this.$(".net-panel"), (picture, name) => this.take(picture, name), close, (stop) => {
        if (wanted) this.closePanel = stop;
        return wanted;
      });
    } catch {
      if (wanted) this.say("The camera cannot be used: the browser or its settings refuse it. A file serves as well.");
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
   * @param {boolean} goesOn  the same drawing, with one more stroke
   */
  take(picture, name, image = null, goesOn = false) {
    if (!goesOn || name !== this.pictureName) this.inside.forget();
    this.taken++;
    this.picture = picture;
    this.pictureName = name;
    this.truth = image === null ? null : this.described.shown[image];
    if (image === null) {
      for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (this.element.querySelectorAll('[name="net-image"]'))) {
        radio.checked = false;
      }
    }
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
      const name = /** @type {keyof typeof change} */ (input.dataset.change), value = change[name];
      if (typeof value === "boolean") input.checked = value;
      else if (name === "brightness") input.value = String(Math.round(100 * value));
      else input.value = String(name === "row" || name === "column" ? value + 1 : value);
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
      this.worker.onerror = () => {
        for (const card of this.element.querySelectorAll(".net-card")) card.removeAttribute("aria-busy");
        this.say("The networks could not start, so the answers are those to the first picture: check the connection and " +
          "load the page again. A browser from before 2023 may be too old for them.");
      };
      this.say("The networks are being fetched …");
      for (const card of this.element.querySelectorAll(".net-card")) card.setAttribute("aria-busy", "true");
      /** @type {Request} */
      const load = { kind: "load", folder: MODELS.href, entries: this.described.networks };
      this.worker.postMessage(load);
    }
    this.worker.postMessage(request);
  }

  /** Ask all networks; while an answer is awaited, only the latest picture waits for its turn. */
  ask() {
    this.why.stop();
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
      const card = this.$(`[data-network="${reply.name}"]`);
      card.removeAttribute("aria-busy");
      card.querySelector("ol")?.replaceChildren();
      this.$(`[data-of="${reply.name}"]`).textContent = "–";
      this.say(`“${this.entry(reply.name).title}” could not be fetched: check the connection, then load the page again.`);
    }
    if (reply.kind === "answers") this.hearAnswers(reply.answers);
    this.inside.hear(reply);
    this.why.hear(reply);
  }

  /** @param {{ name: string, probabilities: number[], ms: number }[]} answers */
  hearAnswers(answers) {
    this.waiting = false;
    for (const { name, probabilities, ms } of answers) {
      this.answers[name] = probabilities;
      const card = this.$(`[data-network="${name}"]`);
      showBars(/** @type {HTMLElement} */ (card.querySelector("ol")), probabilities, this.described.classes, this.truth);
      this.glance(name);
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

  /** The first line of a card, beside the picture: on a narrow screen the cards are far below. @param {string} name */
  glance(name) {
    const first = this.$(`[data-network="${name}"] li`), line = this.$(`[data-of="${name}"]`);
    line.textContent = `${first.firstChild?.textContent} ${first.lastChild?.textContent}`;
    line.classList.toggle("right", first.classList.contains("right"));
  }

  /** @param {string} text */
  say(text) {
    this.$(".net-status").textContent = text;
  }

  /** Show the layers of the chosen network, and offer the map of its answer. */
  look() {
    if (!this.answers[this.chosen]) return;
    const entry = this.entry(), answer = this.likeliest();
    this.why.about({ name: entry.name, title: entry.title, class: this.described.classes[answer.label], ...answer }, this.seen);
    this.inside.look(entry, this.id, this.seen, normalised(this.seen));
  }
}
