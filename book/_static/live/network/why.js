// Where the answer comes from: the worker covers every place of the picture in turn, and here the map appears.
import { evidence, middleOf, normalised } from "./picture.js";
import { drawEvidence, percent } from "./view.js";

/** @typedef {{ name: string, title: string, class: string, label: number, share: number }} Answer */

export class Why {
  /**
   * @param {HTMLElement} section
   * @param {(request: import("./worker.js").Request) => void} send  to the worker
   */
  constructor(section, send) {
    /** @type {<T extends Element>(selector: string) => T} */
    this.find = (selector) => /** @type {any} */ (section.querySelector(selector));
    this.section = section;
    this.send = send;
    this.count = 0;
    this.id = 0; // of the map that is computed or shown, else 0
    /** @type {Answer | null} */
    this.answer = null;
    /** @type {Uint8ClampedArray} */
    this.seen = new Uint8ClampedArray();
    this.button = /** @type {HTMLButtonElement} */ (this.find("button"));
    this.button.addEventListener("click", () => this.start());
  }

  /**
   * The answer that may be asked about. An earlier map would mislead, so it goes.
   * @param {Answer} answer
   * @param {Uint8ClampedArray} seen
   */
  about(answer, seen) {
    this.stop();
    this.answer = answer;
    this.seen = seen;
    this.section.hidden = false;
    this.find(".net-asked").textContent = `${answer.title} says “${answer.class}”, ${percent(answer.share)}.`;
  }

  start() {
    if (!this.answer || this.button.hasAttribute("aria-disabled")) return;
    this.id = ++this.count;
    this.button.setAttribute("aria-disabled", "true");
    this.find(".net-found").textContent = "";
    const { name, label } = this.answer;
    this.send({ kind: "map", id: this.id, name, image: normalised(this.seen), target: label });
  }

  stop() {
    if (!this.id) return;
    this.id = 0;
    this.send({ kind: "stop" });
    /** @type {HTMLElement} */ (this.find(".net-evidence")).hidden = true;
    this.find(".net-found").textContent = "";
    this.button.removeAttribute("aria-disabled");
  }

  /** @param {import("./worker.js").Reply} reply */
  hear(reply) {
    if (reply.kind !== "map" || reply.id !== this.id || !this.answer) return;
    const { drops, done } = reply;
    /** @type {HTMLElement} */ (this.find(".net-evidence")).hidden = false;
    drawEvidence(this.find(".net-evidence canvas"), this.seen, evidence(drops));
    if (done < drops.length) return;
    this.button.removeAttribute("aria-disabled");
    const { class: name, share } = this.answer, most = Math.max(...drops);
    const [row, column] = middleOf(drops.indexOf(most)).map((place) => place + 1);
    this.find(".net-found").textContent = most < 0.01
      ? `No single place matters: whichever is covered, “${name}” loses less than one point.`
      : `Covered around row ${row}, column ${column}, “${name}” falls from ${percent(share)} to ${percent(share - most)}.`;
  }
}
