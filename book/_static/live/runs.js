// All recorded runs: a table that sorts and filters, and two of its rows over one another.
import { make, draw } from "./elements.js";
import {
  ANY, KEYS, chosen, commandFor, nameOf, percent, results, seconds, sorted, widthOf,
} from "./runs-list.js";

/** @import { Filter, Group, Quantity, Recorded, Run } from "./runs-list.js" */

/** Name, heading, and whether the largest comes first when a reader sorts by it. @type {[string, string, boolean][]} */
const COLUMNS = [
  ["recipe", "recipe", false],
  ["width", "width", false],
  ["epochs", "epochs", false],
  ["seeds", "seeds", true],
  ["images", "test images", true],
  ["test", "test, %", true],
  ["validation", "validation, %", true],
  ["seconds", "sec.", false],
];

/** Pairs that a chapter asks about. @type {[string, string, string][]} */
const SUGGESTED = [
  ["Learning-rate decay", "paper", "paper-constant-rate"],
  ["Shuffled pixels, thirty seeds", "mlp", "mlp-shuffled"],
  ["Colour or grey", "mlp", "mlp-grey"],
];

const LINK = "#compare="; // then two identities: an address that opens their comparison

/** @param {HTMLElement} element */
export async function start(element) {
  /** @type {Recorded} */
  const recorded = await (await fetch(new URL("./data/runs.json", import.meta.url))).json();
  const { content, compare } = build(recorded);
  element.replaceChildren(content);
  const open = async () => {
    const asked = location.hash.startsWith(LINK) ? decodeURIComponent(location.hash.slice(LINK.length)).split(",") : [];
    const [first, second] = asked.map((id) => recorded.groups.find((group) => group.id === id));
    if (first && second) await compare(first, second);
  };
  addEventListener("hashchange", open); // the address of another comparison, in the same window
  await open();
}

/** @param {Recorded} recorded */
function build(recorded) {
  const { groups } = recorded;
  /** @type {Filter} */
  let filter = { ...ANY };
  let [key, down] = ["", false]; // at first the order of the recipes, as they are written in the catalogue
  /** @type {Group[]} */
  let pair = [];
  /** @type {Map<Group, HTMLTableRowElement[]>} */
  const rows = new Map(groups.map((group) => [group, rowsOf(recorded, group, () => toggle(group))]));

  const body = make("tbody");
  const count = make("output", { "aria-live": "polite" });
  const comparison = make("section", { class: "runs-comparison", "aria-label": "Comparison", tabindex: -1, hidden: true });
  const tray = make("div", { class: "runs-tray", role: "status" });
  const heads = new Map(COLUMNS.map((column) => [column[0], headOf(column, (name, first) => sortBy(name, first))]));
  const form = filterForm(groups, (asked) => {
    filter = asked;
    list();
  });
  form.addEventListener("reset", () => sortBy("", false));
  const sorting = make(
    "select",
    { change: () => sortBy(sorting.value, COLUMNS.find(([name]) => name === sorting.value)?.[2] ?? false) },
    make("option", { value: "" }, "course order"),
    ...COLUMNS.map(([name, text]) => make("option", { value: name }, text)),
  );

  function list() {
    const kept = chosen(groups, filter);
    const shown = key ? sorted(kept, key, down) : kept;
    body.replaceChildren(...shown.flatMap((group) => rows.get(group) ?? []));
    const total = kept.reduce((sum, group) => sum + group.runs.length, 0);
    count.textContent = kept.length
      ? `${total.toLocaleString("en")} runs in ${kept.length} rows`
      : "No run fits. Ask for less, or start again.";
  }

  /** @param {string} name @param {boolean} first */
  function sortBy(name, first) {
    [key, down] = [name, name === key ? !down : first];
    sorting.value = key;
    for (const [other, head] of heads) {
      if (other === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    list();
  }

  /** A third choice takes the place of the older of two. @param {Group} group */
  function toggle(group) {
    pair = pair.includes(group) ? pair.filter((other) => other !== group) : [...pair.slice(-1), group];
    choose();
  }

  function choose() {
    for (const [group, [row]] of rows) {
      const side = pair.indexOf(group);
      const box = /** @type {HTMLInputElement} */ (row.querySelector("input"));
      box.checked = side >= 0;
      row.dataset.side = side < 0 ? "" : "AB"[side];
    }
    const named = pair.map((group, side) => make("li", { "data-side": "AB"[side] }, nameOf(group)));
    const [first, second] = pair;
    tray.replaceChildren(
      ...(pair.length ? [make("ul", {}, ...named)] : []),
      second
        ? make("button", { type: "button", class: "runs-main", click: () => compare(first, second) }, "Compare these two")
        : make("span", {}, pair.length ? "Choose one more to compare." : "Choose two rows to compare them."),
    );
  }

  /** @param {Group} first @param {Group} second */
  async function compare(first, second) {
    pair = [first, second];
    choose();
    history.replaceState(null, "", `${LINK}${first.id},${second.id}`);
    comparison.hidden = false;
    try {
      const { show } = await import("./runs-compare.js");
      show(comparison, recorded, first, second);
    } catch (error) {
      console.error(error);
      comparison.replaceChildren(make("p", {}, "The comparison could not be loaded: open the page once more."));
    }
    comparison.focus({ preventScroll: true });
    comparison.scrollIntoView({ block: "start" });
  }

  const suggested = SUGGESTED.flatMap(([text, ...ids]) => {
    const [first, second] = ids.map((id) => groups.find((group) => group.id === id));
    if (!first || !second) return [];
    return [make("button", { type: "button", click: () => compare(first, second) }, text)];
  });
  list();
  choose();
  const content = make(
    "div",
    { class: "runs" },
    make("div", { class: "runs-suggested" }, make("span", {}, "Compare, for example:"), ...suggested),
    comparison,
    form,
    make("div", { class: "runs-count" }, count, make("label", { class: "runs-sort" }, "Sort by ", sorting)),
    make("div", {}, tableOf([...heads.values()], body), tray), // the tray stays in view as long as the table
  );
  return { content, compare };
}

/**
 * @param {HTMLElement[]} heads
 * @param {HTMLElement} body
 */
function tableOf(heads, body) {
  const first = make("th", { scope: "col" }, make("span", { class: "runs-hidden" }, "compare"));
  const last = make("th", { scope: "col", class: "runs-curve" }, "by epoch");
  return make(
    "table",
    { class: "runs-table" },
    make("caption", { class: "runs-hidden" }, "Recorded runs. Choose two rows to compare them."),
    make("thead", {}, make("tr", {}, first, ...heads, last)),
    body,
  );
}

/**
 * @param {[string, string, boolean]} column
 * @param {(name: string, down: boolean) => void} sortBy
 */
function headOf([name, text, down], sortBy) {
  return make(
    "th",
    { scope: "col", class: `runs-${name}` },
    make("button", { type: "button", click: () => sortBy(name, down) }, text),
  );
}

/**
 * The row of a group, and the one below it that shows its seeds when it is opened.
 * @param {Recorded} recorded
 * @param {Group} group
 * @param {() => void} toggle
 */
function rowsOf(recorded, group, toggle) {
  const seeds = make("tr", { id: `runs-${group.id}`, class: "runs-detail", hidden: true });
  const opener = make(
    "button",
    {
      type: "button",
      class: "runs-open",
      "aria-expanded": "false",
      "aria-controls": seeds.id,
      click: () => {
        seeds.hidden = !seeds.hidden;
        opener.setAttribute("aria-expanded", String(!seeds.hidden));
        if (!seeds.firstChild) seeds.append(make("td", { colspan: COLUMNS.length + 2 }, details(recorded, group)));
      },
    },
    group.recipe,
  );
  const number = (/** @type {string} */ name, /** @type {string} */ text) => make("td", { class: `runs-${name}` }, text);
  const row = make(
    "tr",
    {},
    make("td", {}, make("input", { type: "checkbox", "aria-label": `Compare ${nameOf(group)}`, change: toggle })),
    make("th", { scope: "row" }, opener, make("small", {}, group.data)),
    number("width", widthOf(group)),
    number("epochs", String(group.epochs)),
    number("seeds", String(group.runs.length)),
    number("images", group.test_images.toLocaleString("en")),
    number("test", percent(results(group, "test_accuracy"))),
    number("validation", percent(results(group, "val_accuracy"))),
    number("seconds", seconds(Number(KEYS.seconds(group)))),
    make("td", { class: "runs-curve" }, sparkline(group.runs)),
  );
  return [row, seeds];
}

/**
 * What the opened row shows.
 * @param {Recorded} recorded
 * @param {Group} group
 */
function details(recorded, group) {
  const views = results(group, "test_accuracy_views");
  const validated = results(group, "val_accuracy").length > 0;
  return make(
    "div",
    {},
    make(
      "p",
      {},
      `Network ${group.network} with ${group.weights.toLocaleString("en")} weights, trained on ${group.place}.`,
      views.length > 0 && ` Test accuracy with several views of each image: ${percent(views)} %.`,
    ),
    make("p", {}, "To train it again: ", make("code", {}, commandFor(group))),
    make(
      "table",
      {},
      make(
        "thead",
        {},
        make("tr", {}, ...["seed", "test, %", "validation, %", "seconds", "by epoch", "record"].map((text) => make("th", { scope: "col" }, text))),
      ),
      make(
        "tbody",
        {},
        ...group.runs.map((run) =>
          make(
            "tr",
            {},
            make("th", { scope: "row" }, run.seed),
            make("td", {}, percent([run.results.test_accuracy ?? NaN])),
            make("td", {}, validated ? percent([run.results.val_accuracy ?? NaN]) : "–"),
            make("td", {}, seconds(run.seconds)),
            make("td", {}, sparkline([run])),
            make("td", {}, recordLink(recorded, group, run)),
          ),
        ),
      ),
    ),
  );
}

/**
 * @param {Recorded} recorded
 * @param {Group} group
 * @param {Run} run
 */
function recordLink(recorded, group, run) {
  const address = `${recorded.repository}${group.recipe}-seed${run.seed}.json`;
  return make("a", { href: address, "aria-label": `JSON of ${group.recipe}, seed ${run.seed}` }, "JSON");
}

/**
 * The validation accuracy of each run by epoch, or its training loss where no images were held out. Each sparkline
 * has a scale of its own: it shows a shape.
 * @param {Run[]} runs
 */
function sparkline(runs) {
  const [name, words] = /** @type {[Quantity, string]} */ (
    runs[0].history.val_accuracy ? ["val_accuracy", "Validation accuracy"] : ["train_loss", "Training loss"]
  );
  const curves = runs.map((run) => run.history[name] ?? []);
  const all = curves.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const [width, height, edge] = [64, 22, 2];
  const x = (/** @type {number} */ i, /** @type {number} */ n) => edge + ((width - 2 * edge) * i) / Math.max(1, n - 1);
  const y = (/** @type {number} */ value) => height - edge - ((height - 2 * edge) * (value - low)) / (high - low || 1);
  const written = (/** @type {number} */ value) => (name === "val_accuracy" ? `${percent([value])} %` : value.toFixed(2));
  return draw(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
      "aria-label": `${words} by epoch, from ${written(curves[0][0])} to ${written(curves[0].at(-1) ?? NaN)}`,
    },
    ...curves.map((curve) =>
      draw("polyline", {
        points: curve.map((value, i) => `${x(i, curve.length).toFixed(1)},${y(value).toFixed(1)}`).join(" "),
        fill: "none", stroke: "currentColor", "stroke-width": 1.2, "stroke-opacity": Math.max(0.25, 1 / curves.length),
      }),
    ),
  );
}

/**
 * @param {Group[]} groups
 * @param {(filter: Filter) => void} ask
 */
function filterForm(groups, ask) {
  /** @param {keyof Filter} name @param {string} label @param {(group: Group) => string} value */
  function select(name, label, value) {
    const values = [...new Set(groups.map(value))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const options = values.map((one) => make("option", { value: one }, name === "images" ? Number(one).toLocaleString("en") : one));
    return make("label", {}, `${label} `, make("select", { name }, make("option", { value: "" }, "any"), ...options));
  }
  /** @param {keyof Filter} name @param {string} label @param {number} most */
  function limit(name, label, most) {
    return make("label", {}, `${label} `, make("input", { name, type: "number", min: 0, max: most, step: "any", inputmode: "decimal" }));
  }
  const form = make(
    "form",
    { class: "runs-filter", submit: (event) => event.preventDefault() },
    make("label", {}, "Find ", make("input", { name: "text", type: "search", placeholder: "grey, resnet …" })),
    select("data", "Data", (group) => group.data),
    select("images", "Test images", (group) => String(group.test_images)),
    make(
      "details",
      {},
      make("summary", {}, "More filters"),
      make(
        "div",
        {},
        select("network", "Network", (group) => group.network),
        select("width", "Width", widthOf),
        select("epochs", "Epochs", (group) => String(group.epochs)),
        limit("seeds", "Seeds, at least", 1000),
        limit("accuracy", "Test accuracy, at least (%)", 100),
        limit("seconds", "Seconds, at most", 1e6),
      ),
    ),
    make("button", { type: "reset" }, "Start again"),
  );
  const answer = () => ask(/** @type {Filter} */ ({ ...ANY, ...Object.fromEntries(new FormData(form)) }));
  form.addEventListener("input", answer);
  form.addEventListener("reset", () => setTimeout(answer)); // the fields are empty only afterwards
  return form;
}
