// The controls that the part adds to its still form, as HTML.

/**
 * @param {string[]} names  of the test images
 * @param {number} first
 * @param {number} bytes  of all networks
 */
export function controls(names, first, bytes) {
  const thumbs = names.map((name, i) => `<label class="net-thumb" style="--at: ${i}"><input type="radio"
    name="net-image" value="${i}" ${i === first ? "checked" : ""} aria-label="${name}${names.indexOf(name) < i ? ", another" : ""}"></label>`);
  const camera = navigator.mediaDevices ? '<button type="button" data-action="camera">Use the camera</button>' : "";
  return {
    choose: `<div class="net-choose">
      <fieldset><legend>Choose a picture</legend><div class="net-thumbs">${thumbs.join("")}</div></fieldset>
      <div class="net-sources"><label class="net-file">A photo of yours<input type="file" accept="image/*"></label>
        ${camera}<button type="button" data-action="draw">Draw</button></div>
      <p class="net-note">Or drop or paste one here; its middle square is taken. <strong>It stays in this page and is
        sent nowhere.</strong> Your first choice fetches the three networks, ${(bytes / 1e6).toFixed(1)} MB.</p>
      <div class="net-panel" hidden></div></div>`,
    canvas: '<canvas class="net-image" role="img" width="32" height="32"></canvas>',
    change: `<fieldset class="net-change"><legend>Change it</legend>
      ${slider("right", "Shift right", -16, 16, 1, " px")}${slider("down", "Shift down", -16, 16, 1, " px")}
      ${slider("turn", "Turn", -180, 180, 5, "°")}${slider("brightness", "Brightness", 20, 200, 5, " %")}
      ${slider("size", "Grey patch", 0, 24, 2, " px")}
      ${slider("row", "Patch: row", 1, 32, 1, "", true)}${slider("column", "Patch: column", 1, 32, 1, "", true)}
      <p class="net-note">Or drag over the picture to cover a part.</p>
      <div class="net-row"><label class="net-check"><input type="checkbox" data-change="shuffled"> Shuffle the
        pixels</label><button type="button" data-action="reset">Undo all changes</button></div></fieldset>`,
  };
}

/**
 * @param {keyof import("./picture.js").Change} name
 * @param {string} text
 * @param {number} from
 * @param {number} to
 * @param {number} step
 * @param {string} unit
 * @param {boolean} patch  of use only while there is a patch
 */
function slider(name, text, from, to, step, unit, patch = false) {
  const start = { brightness: 100, row: 17, column: 17 }[/** @type {string} */ (name)] ?? 0;
  return `<label class="net-slider" ${patch ? "data-needs-patch hidden" : ""}><span>${text}</span><input type="range"
    min="${from}" max="${to}" step="${step}" value="${start}" data-change="${name}" data-unit="${unit}"><output>${start}${unit}</output></label>`;
}

/**
 * The answers in short, which a narrow screen keeps in view beside the picture; screen readers hear them elsewhere.
 * @param {{ name: string, title: string }[]} networks
 */
export function glance(networks) {
  const lines = networks.map(({ name, title }) => `<span>${title}</span><span data-of="${name}"></span>`);
  return `<div class="net-glance" aria-hidden="true">${lines.join("")}</div>`;
}

/**
 * @param {{ name: string, title: string }[]} networks
 * @param {string} chosen
 */
export function inside(networks, chosen) {
  const radios = networks.map(({ name, title }) => `<label><input type="radio" name="net-network" value="${name}"
    ${name === chosen ? "checked" : ""}> ${title}</label>`);
  return `<section class="net-inside" hidden><h2>Look inside</h2>
    <fieldset class="net-networks"><legend class="visually-hidden">Which network</legend>${radios.join("")}</fieldset>
    <p class="net-note">Each small square is what one channel of a layer answers to the picture: violet is zero
      or less, yellow the layer’s strongest answer. The strongest come first. Press one to enlarge it.</p>
    <div class="net-layers"></div>
    <figure class="net-large" hidden><div class="net-row">
      <div data-large="map"><span>Its map</span><canvas></canvas></div>
      <div data-large="filter"><span>Its weights</span><canvas></canvas></div>
      <div data-large="picture"><span>The picture</span><div class="net-boxed"><canvas></canvas><div class="net-boxes"></div></div></div>
      <div data-large="patches"><span>What excites it most</span><div class="net-patches"></div></div></div>
      <figcaption><p role="status"></p></figcaption></figure></section>`;
}

export const why = () => `<section class="net-why" hidden><h2>Where the answer comes from</h2>
  <p><span class="net-asked"></span> Which part of the picture is the reason? Cover each place in turn with a grey
    square of 8 × 8 pixels, 256 times, and see how far that probability falls.</p>
  <button type="button" data-action="map">Cover every place in turn</button>
  <div class="net-evidence" hidden><canvas role="img" aria-label="The picture, coloured by what covering each place changes"></canvas>
    <p class="net-key"><span class="for">Blue</span>: covered, the answer loses probability. <span class="against">Orange</span>: it
      gains some. Grey: nothing changes.</p></div>
  <p class="net-found" role="status"></p></section>`;
