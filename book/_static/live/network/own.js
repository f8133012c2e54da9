// The reader's own picture: a file, one dropped or pasted, the camera, a drawing. Nothing leaves the page.
import { SIDE, shrink } from "./picture.js";

const FINE = 16 * SIDE; // side of the square that is shrunk to 32 pixels, each the mean of 16 × 16
const COLOURS = { black: "#111111", white: "#ffffff", blue: "#3b7dd8", green: "#4a8f3c", brown: "#8a5a2b", red: "#c8352b",
  yellow: "#f2c230", grey: "#8c8c8c" };

/** @typedef {(picture: Uint8ClampedArray, name: string) => void} Take */

/** @param {HTMLCanvasElement} canvas */
const context = (canvas) =>
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));

/**
 * The square in the middle of a source, as 32 × 32 pixels.
 * @param {CanvasImageSource} source
 * @param {number} width
 * @param {number} height
 */
function middle(source, width, height) {
  const side = Math.min(width, height);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = FINE;
  const paint = context(canvas);
  paint.fillStyle = "white"; // behind what is transparent
  paint.fillRect(0, 0, FINE, FINE);
  paint.imageSmoothingEnabled = side > FINE; // a small picture is not blurred: its pixels become squares
  paint.imageSmoothingQuality = "high";
  paint.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, 0, 0, FINE, FINE);
  return shrink(paint.getImageData(0, 0, FINE, FINE).data);
}

/**
 * @param {Blob} file
 * @returns {Promise<Uint8ClampedArray>}  it fails if the file is no image that the browser knows
 */
export async function fromFile(file) {
  const image = await createImageBitmap(file);
  const picture = middle(image, image.width, image.height);
  image.close();
  return picture;
}

/**
 * The camera, in a panel, until a picture was taken or the panel closed.
 * @param {HTMLElement} panel
 * @param {Take} take
 * @param {() => void} close
 * @param {(stop: () => void) => boolean} begin  is told what stops the camera; false if it is no longer wanted
 */
export async function camera(panel, take, close, begin) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const off = () => stream.getTracks().forEach((track) => track.stop());
  const stop = () => {
    off();
    close();
  };
  if (!begin(stop)) return off();
  panel.innerHTML = `<video playsinline muted aria-label="What the camera sees"></video>
    <div class="net-row"><button type="button" data-do="take" disabled>Take the picture</button>
    <button type="button" data-do="close">Close the camera</button></div>`;
  panel.hidden = false;
  const video = /** @type {HTMLVideoElement} */ (panel.querySelector("video"));
  video.srcObject = stream;
  const [taking, closing] = panel.querySelectorAll("button");
  taking.onclick = () => {
    take(middle(video, video.videoWidth, video.videoHeight), "your photo");
    stop();
  };
  closing.onclick = stop;
  try {
    await video.play(); // before it, there is no picture to take
  } catch (error) {
    if (!video.isConnected) return; // the panel was closed meanwhile
    stop();
    throw error;
  }
  taking.disabled = false;
  taking.focus();
}

/**
 * A canvas to draw on; the networks answer after every stroke.
 * @param {HTMLElement} panel
 * @param {Take} take
 * @param {() => void} close
 */
export function drawing(panel, take, close) {
  const swatches = Object.entries(COLOURS).map(([name, colour], i) =>
    `<label class="net-swatch" style="--swatch: ${colour}"><input type="radio" name="net-colour" value="${colour}"
      aria-label="${name}" ${i ? "" : "checked"}></label>`);
  panel.innerHTML = `<canvas class="net-drawing" width="${8 * SIDE}" height="${8 * SIDE}" role="img"
      aria-label="Your drawing. It needs a mouse, a pen or a finger; a photo or a test image serves as well."></canvas>
    <div><fieldset class="net-swatches"><legend>Colour</legend>${swatches.join("")}</fieldset>
    <label class="net-slider"><span>Brush</span><input type="range" min="4" max="64" value="20"></label>
    <div class="net-row"><button type="button" data-do="fill">Fill with the colour</button>
    <button type="button" data-do="close">Close the drawing</button></div></div>`;
  panel.hidden = false;
  const canvas = /** @type {HTMLCanvasElement} */ (panel.querySelector("canvas"));
  const brush = /** @type {HTMLInputElement} */ (panel.querySelector('[type="range"]'));
  const paint = context(canvas);
  const colour = () => /** @type {HTMLInputElement} */ (panel.querySelector(":checked")).value;
  const done = () => take(shrink(paint.getImageData(0, 0, canvas.width, canvas.height).data), "your drawing");
  /** @param {string} style */
  const fill = (style) => {
    paint.fillStyle = style;
    paint.fillRect(0, 0, canvas.width, canvas.height);
  };
  fill("white");
  paint.lineCap = paint.lineJoin = "round";
  /** @param {PointerEvent} event */
  const stroke = (event) => {
    const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    paint.lineTo(x, y);
    paint.stroke();
    paint.beginPath(); // what is drawn need not be drawn again
    paint.moveTo(x, y);
    done();
  };
  canvas.onpointerdown = (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    paint.strokeStyle = colour();
    paint.lineWidth = brush.valueAsNumber;
    paint.beginPath();
    stroke(event);
    stroke(event); // a dot, if the pointer does not move
  };
  canvas.onpointermove = (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) stroke(event);
  };
  const [filling, closing] = panel.querySelectorAll("button");
  filling.onclick = () => {
    fill(colour());
    done();
  };
  closing.onclick = close;
  /** @type {HTMLElement} */ (panel.querySelector("input")).focus();
  return close;
}
