// Luck: guess how often two methods look different, then see a hundred experiments.
import { draw, make } from "./elements.js";
import { deviations, repeat, summarize } from "./luck-simulate.js";

/** @import { Experiment, Images, Settings, Summary } from "./luck-simulate.js" */
/** @typedef {Settings & { name: string, about: string }} Preset */

const EXPERIMENTS = 1000; // counted
const SHOWN = 100;
const TEST_IMAGES = [250, 500, 1017, 2000, 5000, 10_000, 50_000];

/** Where numbers stand that are shares of a hundred experiments. @param {number} share */
const ofHundred = (share) => (100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0);

/** @param {HTMLElement} element */
export async function start(element) {
  /** @type {Images & { presets: Preset[] }} */
  const data = await (await fetch(new URL("./data/luck.json", import.meta.url))).json();
  element.replaceChildren(build(data));
}

/** @param {Images & { presets: Preset[] }} data */
function build(data) {
  /** @type {Settings} */
  let settings = data.presets[0];
  let luck = 1;

  const about = make("p", { class: "luck-about", id: "luck-about" });
  const told = make("p", { class: "luck-told", role: "status", tabindex: -1 });
  const caption = make("p", { class: "luck-caption" });
  const chart = make("div", { class: "luck-chart" });
  const counts = make("ul", { class: "luck-counts" });
  const result = make("div", { class: "luck-result", hidden: true });
  const buttons = data.presets.map((preset) =>
    make("button", { type: "button", "aria-pressed": "false", click: () => ask(preset) }, preset.name),
  );

  const guess = make("input", { type: "range", min: 0, max: 100, value: 50, id: "luck-guess", input: () => showGuess() });
  const guessed = make("output", { for: "luck-guess" });
  const form = make(
    "form",
    {
      class: "luck-guess",
      submit: (event) => {
        event.preventDefault();
        reveal();
      },
    },
    make("label", { for: "luck-guess" }, "Your guess: of 100 such experiments, how many call the two methods different?"),
    make("div", {}, guess, guessed, make("button", { type: "submit" }, "Show what happens")),
  );
  const showGuess = () => (guessed.textContent = guess.value);

  const sliders = [
    slider("True difference", 0, 3, 0.05, "difference", (value) => `${value.toFixed(2)} points`),
    slider("Spread between seeds", 0, 2, 0.05, "spread", (value) => `${value.toFixed(2)} points`),
    slider("Seeds on each side", 2, 50, 1, "seeds", String),
    slider("Test images", 0, TEST_IMAGES.length - 1, 1, "images", (value) => value.toLocaleString("en"), {
      from: (place) => TEST_IMAGES[place],
      to: (value) => TEST_IMAGES.indexOf(value),
    }),
  ];
  const own = make("input", { type: "checkbox", change: () => set({ own: own.checked }) });

  /**
   * @param {string} label
   * @param {number} min
   * @param {number} max
   * @param {number} step
   * @param {"difference" | "spread" | "seeds" | "images"} name
   * @param {(value: number) => string} written
   * @param {{ from: (place: number) => number, to: (value: number) => number }} [places]  of the handle, and its values
   */
  function slider(label, min, max, step, name, written, places = { from: (place) => place, to: (value) => value }) {
    const handle = make("input", {
      type: "range", min, max, step, id: `luck-${name}`,
      input: () => set({ [name]: places.from(Number(handle.value)) }),
    });
    const output = make("output", { for: handle.id });
    const show = () => {
      handle.value = String(places.to(settings[name]));
      output.textContent = written(settings[name]);
      handle.setAttribute("aria-valuetext", output.textContent);
    };
    return { show, row: make("div", { class: "luck-slider" }, make("label", { for: handle.id }, label), handle, output) };
  }

  /** A setting of the reader's own. @param {Partial<Settings>} change */
  function set(change) {
    settings = { ...settings, ...change };
    buttons.forEach((button) => button.setAttribute("aria-pressed", "false"));
    about.textContent = "Your own experiment: move the sliders, and the same luck meets other settings.";
    update();
  }

  /** @param {Preset} preset */
  function ask(preset) {
    settings = preset;
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(data.presets[i] === preset)));
    about.textContent = preset.about;
    guess.value = "50";
    showGuess();
    form.hidden = false;
    result.hidden = true;
  }

  function reveal() {
    form.hidden = true;
    result.hidden = false;
    const { called } = update();
    told.textContent = `You said ${guess.value} of 100. It is ${ofHundred(called)}. ${told.textContent}`;
    told.focus();
  }

  function update() {
    sliders.forEach(({ show }) => show());
    own.checked = settings.own;
    const experiments = repeat(settings, data, EXPERIMENTS, luck);
    const summary = summarize(experiments, settings.difference);
    told.textContent = sentence(settings, summary);
    counts.replaceChildren(...countsOf(settings, summary));
    drawChart(experiments);
    return summary;
  }

  /** @type {Experiment[]} */
  let drawn = [];
  /** @param {Experiment[]} experiments */
  function drawChart(experiments) {
    drawn = experiments.slice(0, SHOWN);
    const alarms = drawn.filter((one) => one.called !== 0).length;
    caption.textContent = `${SHOWN} of the ${EXPERIMENTS.toLocaleString("en")} experiments, each with its measured difference in points and ` +
      `the 95 % interval. Coloured are the ${alarms} whose interval leaves out zero.`;
    if (chart.clientWidth) chart.replaceChildren(picture(drawn, settings, data, chart.clientWidth));
  }
  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(chart.clientWidth - width) < 2) return;
    width = chart.clientWidth;
    if (width && drawn.length) chart.replaceChildren(picture(drawn, settings, data, width));
  }).observe(chart);

  result.append(
    told,
    caption,
    chart,
    key(),
    make(
      "fieldset",
      { class: "luck-sliders" },
      make("legend", {}, "Change the experiment"),
      ...sliders.map(({ row }) => row),
      make("label", { class: "luck-own" }, own, " Each method is good at images of its own, which an interval over seeds does not know"),
    ),
    make(
      "button",
      {
        type: "button",
        click: () => {
          luck += 1;
          update();
        },
      },
      "Repeat with other luck",
    ),
    counts,
  );
  ask(data.presets[0]);
  return make(
    "div",
    { class: "luck" },
    make("div", { class: "luck-presets", role: "group", "aria-label": "Experiments" }, ...buttons),
    about,
    form,
    result,
  );
}

/**
 * @param {Settings} settings
 * @param {Summary} summary
 */
export function sentence({ difference }, { called, wrong }) {
  const count = (/** @type {number} */ share) => Math.round(share * EXPERIMENTS).toLocaleString("en");
  const said = `Of ${EXPERIMENTS.toLocaleString("en")} experiments, ${count(called)} call the two methods different`;
  if (difference === 0) return `${said}: false alarms, because the methods are equal.`;
  const mistaken = wrong > 0 ? `, ${count(wrong)} of them in favour of the worse method` : "";
  const missed = called < 1 ? " The others miss a difference that is there." : "";
  return `${said}${mistaken}.${missed}`;
}

/**
 * @param {Settings} settings
 * @param {Summary} summary
 */
function countsOf({ difference }, { called, apart, covered, size }) {
  /** @type {[string, string][]} */
  const rows = [
    [ofHundred(called), difference ? "of 100 call a difference" : "of 100 call a difference that is not there"],
    [ofHundred(apart), "of 100 have every seed of one side above every seed of the other"],
    [ofHundred(covered), "of 100 have an interval that contains the true difference"],
  ];
  if (!Number.isNaN(size)) rows.push([size.toFixed(1), `points: the mean size of the differences that are called; the truth is ${difference.toFixed(2)}`]);
  return rows.map(([number, text]) => make("li", {}, make("strong", {}, number), " ", text));
}

function key() {
  const kinds = [["none", "no verdict"], ["a", "right: a difference is there"], ["b", "false alarm, or the wrong side"]];
  return make("ul", { class: "luck-key" }, ...kinds.map(([kind, text]) => make("li", { "data-kind": kind }, text)));
}

/**
 * A hundred experiments side by side, each a dot with its interval. The scale follows from the settings alone, so that
 * it stands still under other luck.
 * @param {Experiment[]} experiments
 * @param {Settings} settings
 * @param {Images} images
 * @param {number} width
 */
function picture(experiments, settings, images, width) {
  const { run, shared } = deviations(settings, images);
  const error = Math.sqrt((2 * run ** 2) / settings.seeds + shared ** 2);
  const high = Math.max(0.2, settings.difference + 4.5 * error);
  const low = Math.min(settings.difference - 4.5 * error, -0.1 * high); // with zero, and some room below it
  const [height, left, edge] = [260, 34, 8];
  const x = (/** @type {number} */ i) => left + ((width - left - edge) * (i + 0.5)) / experiments.length;
  const y = (/** @type {number} */ value) =>
    edge + ((height - 2 * edge) * (high - Math.max(low, Math.min(high, value)))) / (high - low);
  const step = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20].find((size) => (high - low) / size <= 8) ?? 50;
  const ticks = [];
  for (let tick = Math.ceil(low / step); tick <= high / step; tick++) ticks.push(tick * step);
  const alarms = experiments.filter((one) => one.called !== 0).length;
  const room = (width - left - edge) / experiments.length;
  return draw(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "img", style: `--line: ${Math.min(1.5, room / 3)}px`,
      "aria-label": `${experiments.length} experiments, each with its measured difference and interval. ${alarms} intervals leave out zero.`,
    },
    ...ticks.map((tick) =>
      draw(
        "g",
        {},
        draw("line", { x1: left, x2: width - edge, y1: y(tick), y2: y(tick), class: Math.abs(tick) < 1e-9 ? "luck-zero" : "luck-grid" }),
        draw("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, Number(tick.toFixed(2)).toString().replace("-", "−")),
      ),
    ),
    settings.difference > 0 &&
      draw("line", { x1: left, x2: width - edge, y1: y(settings.difference), y2: y(settings.difference), class: "luck-truth" }),
    ...experiments.map((one, i) => {
      const right = one.called > 0 && settings.difference > 0;
      return draw(
        "g",
        { "data-kind": one.called === 0 ? "none" : right ? "a" : "b" },
        draw("line", { x1: x(i), x2: x(i), y1: y(one.low), y2: y(one.high) }),
        draw("circle", { cx: x(i), cy: y(one.difference), r: Math.min(3, room / 1.8) }),
      );
    }),
  );
}
