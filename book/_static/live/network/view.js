// What the part draws: bars, feature maps, filters, the map of evidence.
import { SIDE } from "./picture.js";

/** @typedef {import("./engine.js").Shape} Shape */

export const LIKELIEST = 5;
const SCALE = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]; // viridis
const FOR = [30, 140, 255], AGAINST = [255, 120, 20];

/** @param {HTMLCanvasElement} canvas */
const context = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/** @param {number} share */
export const percent = (share) => `${share < 0.01 ? "<1" : share > 0.99 ? ">99" : Math.round(100 * share)} %`;

/**
 * Pixels onto a canvas, which takes their size.
 * @param {HTMLCanvasElement} canvas
 * @param {number} columns
 * @param {number} rows
 * @param {(pixel: number) => number[]} colour  red, green, blue and perhaps alpha, from 0 to 255
 */
function paint(canvas, columns, rows, colour) {
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  const image = new ImageData(columns, rows);
  for (let p = 0; p < rows * columns; p++) {
    const [red, green, blue, alpha = 255] = colour(p);
    image.data.set([red, green, blue, alpha], 4 * p);
  }
  context(canvas).putImageData(image, 0, 0);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} picture
 */
export function drawPicture(canvas, picture) {
  paint(canvas, SIDE, SIDE, (p) => [picture[3 * p], picture[3 * p + 1], picture[3 * p + 2]]);
}

/**
 * One channel of a layer, from 0 (violet) to the layer's largest value (yellow).
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values
 * @param {Shape} shape
 * @param {number} channel
 * @param {number} largest
 */
export function drawChannel(canvas, values, [rows, columns, channels], channel, largest) {
  paint(canvas, columns, rows, (p) => {
    // The root shows weak places too.
    const share = Math.sqrt(Math.max(0, values[p * channels + channel]) / (largest || 1)) * (SCALE.length - 1);
    const i = Math.min(SCALE.length - 2, Math.floor(share));
    return SCALE[i].map((from, c) => from + (share - i) * (SCALE[i + 1][c] - from));
  });
}

/**
 * The weights of a unit that sees colours: grey is 0, and a colour is what the unit looks for.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} filter
 */
export function drawFilter(canvas, filter) {
  const side = Math.sqrt(filter.length / 3);
  const largest = filter.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
  paint(canvas, side, side, (p) => [0, 1, 2].map((c) => 128 + (127 * filter[3 * p + c]) / largest));
}

/**
 * Part of a picture, as large as the canvas's own pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} picture
 * @param {{ top: number, left: number, width: number, height: number }} square
 */
export function drawPart(canvas, picture, { top, left, width, height }) {
  paint(canvas, width, height, (p) => {
    const at = 3 * ((top + Math.floor(p / width)) * SIDE + left + (p % width));
    return [picture[at], picture[at + 1], picture[at + 2]];
  });
}

/**
 * The picture in grey, and over it in blue where covering it costs the answer probability, and in orange where
 * it adds some.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} picture
 * @param {Float32Array} falls  one for each pixel
 */
export function drawEvidence(canvas, picture, falls) {
  const largest = falls.reduce((most, fall) => Math.max(most, Math.abs(fall)), 0.02);
  paint(canvas, SIDE, SIDE, (p) => {
    const grey = 0.3 * picture[3 * p] + 0.59 * picture[3 * p + 1] + 0.11 * picture[3 * p + 2];
    const share = (0.9 * Math.abs(falls[p])) / largest;
    return (falls[p] > 0 ? FOR : AGAINST).map((part) => (1 - share) * (40 + 0.7 * grey) + share * part);
  });
}

/**
 * The likeliest classes, as a card of the page shows them.
 * @param {HTMLElement} list
 * @param {number[]} probabilities
 * @param {string[]} classes
 * @param {number | null} truth
 */
export function showBars(list, probabilities, classes, truth) {
  const top = probabilities.map((share, label) => ({ share, label })).sort((a, b) => b.share - a.share);
  list.replaceChildren(...top.slice(0, LIKELIEST).map(({ share, label }) => {
    const item = document.createElement("li");
    item.classList.toggle("right", label === truth);
    item.style.setProperty("--share", share.toFixed(4));
    const parts = [classes[label], "", percent(share)].map((text) => {
      const part = document.createElement("span");
      part.textContent = text;
      return part;
    });
    parts[1].className = "net-bar";
    item.append(...parts);
    return item;
  }));
}
