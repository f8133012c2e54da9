// The picture before the networks see it, and where in it a place of a layer looks. All of it is arithmetic on
// arrays: a picture is 32 × 32 pixels, [row][column][red, green, blue] from 0 to 255.

export const SIDE = 32;
export const GREY = 128;
export const COVER = 8; // side of the square that the map of evidence covers with grey
export const STRIDE = 2; // pixels between two of its places

/**
 * @typedef {{ right: number, down: number, turn: number, brightness: number, size: number, row: number,
 *   column: number, shuffled: boolean }} Change  shifts in pixels; the turn in degrees, clockwise; brightness as
 *   a factor; a grey square of `size` pixels around a row and a column, if size is not 0
 * @typedef {{ start: number, size: number, jump: number }} Field  the place i of a layer sees the `size` pixels
 *   from start + i × jump on
 */

/** @type {Change} */
export const UNCHANGED = { right: 0, down: 0, turn: 0, brightness: 1, size: 0, row: 16, column: 16, shuffled: false };

/**
 * A square of RGBA pixels, made smaller: each new pixel is the mean of those that it replaces.
 * @param {ArrayLike<number>} rgba  its side is a multiple of 32
 */
export function shrink(rgba) {
  const side = Math.sqrt(rgba.length / 4), factor = side / SIDE;
  const small = new Uint8ClampedArray(3 * SIDE * SIDE);
  for (let p = 0; p < SIDE * SIDE; p++) {
    const row = Math.floor(p / SIDE) * factor, column = (p % SIDE) * factor;
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      for (let k = 0; k < factor * factor; k++) {
        sum += rgba[4 * ((row + Math.floor(k / factor)) * side + column + (k % factor)) + c];
      }
      small[3 * p + c] = sum / factor ** 2;
    }
  }
  return small;
}

/**
 * The picture after all changes. What comes in at the border is black, as in the course's chapters.
 * @param {Uint8ClampedArray} picture
 * @param {Change} change
 * @param {ArrayLike<number>} order  pixel p of a shuffled picture is pixel order[p] of the picture
 */
export function changed(picture, change, order) {
  const moved = new Uint8ClampedArray(picture.length);
  const middle = (SIDE - 1) / 2, angle = (change.turn * Math.PI) / 180;
  const cos = Math.cos(angle), sin = Math.sin(angle);
  for (let p = 0; p < SIDE * SIDE; p++) {
    const x = (p % SIDE) - middle - change.right, y = Math.floor(p / SIDE) - middle - change.down;
    const column = cos * x + sin * y + middle, row = cos * y - sin * x + middle;
    for (let c = 0; c < 3; c++) moved[3 * p + c] = between(picture, row, column, c) * change.brightness;
  }
  const done = change.shuffled ? moved.map((_, i) => moved[3 * order[Math.floor(i / 3)] + (i % 3)]) : moved;
  if (change.size) cover(done, change.row, change.column, change.size);
  return done;
}

/**
 * The colour at a place between pixels, from the four around it.
 * @param {Uint8ClampedArray} picture
 * @param {number} row
 * @param {number} column
 * @param {number} c
 */
function between(picture, row, column, c) {
  const top = Math.floor(row + 1e-9), left = Math.floor(column + 1e-9);
  const down = Math.max(0, row - top), right = Math.max(0, column - left);
  /** @type {(row: number, column: number) => number} */
  const at = (i, j) => (i >= 0 && i < SIDE && j >= 0 && j < SIDE ? picture[3 * (i * SIDE + j) + c] : 0);
  return (
    (1 - down) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
    down * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1))
  );
}

/**
 * Cover a square with grey, in place.
 * @param {Uint8ClampedArray | Float32Array} picture
 * @param {number} row  of its middle
 * @param {number} column
 * @param {number} size
 * @param {number} grey
 */
export function cover(picture, row, column, size, grey = GREY) {
  const top = Math.max(0, row - Math.floor(size / 2)), left = Math.max(0, column - Math.floor(size / 2));
  const below = Math.min(SIDE, row - Math.floor(size / 2) + size);
  const beyond = Math.min(SIDE, column - Math.floor(size / 2) + size);
  for (let i = top; i < below; i++) picture.fill(grey, 3 * (i * SIDE + left), 3 * (i * SIDE + Math.max(left, beyond)));
}

/**
 * The numbers that a network gets: from -2 to 2.
 * @param {ArrayLike<number>} picture
 */
export const normalised = (picture) => Float32Array.from(picture, (value) => (value / 255 - 0.5) / 0.25);

/**
 * What a place of each step sees; the first is that of the image.
 * @param {import("./engine.js").Step[]} steps
 */
export function fields(steps) {
  /** @type {Field[]} */
  const found = [{ start: 0, size: 1, jump: 1 }];
  for (const { op, from, kernel = 1, stride = op === "max" ? kernel : 1, pad = 0 } of steps) {
    const before = from.map((i) => found[i]);
    const { jump } = before[0];
    const start = Math.min(...before.map((field) => field.start));
    const end = Math.max(...before.map((field) => field.start + field.size));
    found.push({ start: start - pad * jump, size: end - start + (kernel - 1) * jump, jump: jump * stride });
  }
  return found;
}

/**
 * The strongest places of one channel, none of which is the neighbour of a stronger one.
 * @param {ArrayLike<number>} layer
 * @param {import("./engine.js").Shape} shape
 * @param {number} channel
 * @param {number} most
 */
export function strongest(layer, [rows, columns, channels], channel, most = 3) {
  const places = Array.from({ length: rows * columns }, (_, p) => ({
    row: Math.floor(p / columns),
    column: p % columns,
    value: layer[p * channels + channel],
  }));
  places.sort((a, b) => b.value - a.value);
  /** @type {typeof places} */
  const chosen = [];
  for (const place of places) {
    if (chosen.length === most || place.value <= 0) break;
    const near = chosen.some((c) => Math.abs(c.row - place.row) <= 1 && Math.abs(c.column - place.column) <= 1);
    if (!near) chosen.push(place);
  }
  return chosen;
}

/**
 * The square of the picture that a place sees, cut off at the picture's border.
 * @param {Field} field
 * @param {{ row: number, column: number }} place
 */
export function square({ start, size, jump }, { row, column }) {
  /** @type {(i: number) => [number, number]} */
  const span = (i) => [Math.max(0, start + i * jump), Math.min(SIDE, start + i * jump + size)];
  const [top, bottom] = span(row), [left, right] = span(column);
  return { top, left, height: bottom - top, width: right - left };
}

/**
 * The mean fall of the probability over all squares that cover a pixel, for every pixel.
 * @param {Float32Array} drops  what each place of the covering square costs, row by row
 */
export function evidence(drops) {
  const sums = new Float32Array(SIDE * SIDE), counts = new Float32Array(SIDE * SIDE);
  drops.forEach((drop, i) => {
    const [row, column] = middleOf(i);
    for (let y = Math.max(0, row - COVER / 2); y < Math.min(SIDE, row + COVER / 2); y++) {
      for (let x = Math.max(0, column - COVER / 2); x < Math.min(SIDE, column + COVER / 2); x++) {
        sums[y * SIDE + x] += drop;
        counts[y * SIDE + x] += 1;
      }
    }
  });
  return sums.map((sum, p) => sum / counts[p]);
}

/**
 * The middle of the covering square at one of its places.
 * @param {number} i
 * @returns {[row: number, column: number]}
 */
export function middleOf(i) {
  const across = SIDE / STRIDE;
  return [Math.floor(i / across) * STRIDE + STRIDE / 2, (i % across) * STRIDE + STRIDE / 2];
}
