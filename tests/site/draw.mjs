// node draw.mjs CHROMIUM ADDRESS CHAPTER/ID...: draws in the built chapters as readers do, and prints as JSON what came.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const KEY = "cifar10-by-experiment.predictions.v1";
const [executablePath, address, ...questions] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
const chapter = (id) => `${address}/notebooks/${questions.find((name) => name.endsWith(`/${id}`)).split("/")[0]}.html`;
const JUDGED = `${address}/book/how-well-did-you-judge.html`;
const found = { noise: [] };

async function open(options = {}, prepare = () => {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", viewport: { width: 1280, height: 900 }, ...options });
  await context.addInitScript(prepare);
  const page = await context.newPage();
  page.on("pageerror", (error) => found.noise.push(error.message));
  page.on("console", (message) => message.type() === "error" && found.noise.push(message.text()));
  page.answers = [];
  page.on("request", (request) => request.url().endsWith(".answer.json") && page.answers.push(request.url().split("/").at(-1)));
  return page;
}

/** The part of a question, live and in view; folds above it are opened. */
async function reach(page, id, go = true) {
  if (go) await page.goto(chapter(id));
  const part = page.locator(`#draw-${id}`);
  for (;;) {
    await part.evaluate((element) => element.scrollIntoView({ block: "center" }));
    const folds = page.locator(`.draw-folded[hidden]:has(#draw-${id})`);
    if (!(await folds.count())) break;
    await page.locator(`.draw-fold:has(+ .draw-folded:has(#draw-${id})) button`).first().click();
  }
  await part.and(page.locator("[data-state=live]")).waitFor();
  // Formulas above are set late and move it.
  const chart = part.locator(".draw-svg");
  for (let before, after; !before || Math.abs(before.y - after.y) > 1; ) {
    await chart.evaluate((element) => element.scrollIntoView({ block: "center" }));
    before = await chart.boundingBox();
    await page.waitForTimeout(300);
    after = await chart.boundingBox();
  }
  return part;
}

const accessible = async (page, ...include) => {
  await page.addScriptTag({ path: axe });
  const problems = [];
  for (const theme of ["light", "dark"]) {
    await page.evaluate((name) => Object.assign(document.documentElement.dataset, { theme: name, mode: name }), theme);
    problems.push(...(await page.evaluate(async (include) => {
      const { violations } = await window.axe.run({ include }, { resultTypes: ["violations"] });
      return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}`));
    }, include)));
  }
  return problems;
};
const excess = (page) => page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
const text = (part, selector) => part.locator(selector).innerText();
const kept = (page) => page.evaluate((key) => JSON.parse(localStorage.getItem(key) ?? "null"), KEY);

async function drag(page, part, from, to) {
  const box = await part.locator(".draw-pen").boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at(to), { steps: 12 });
  await page.mouse.up();
}

async function mouse() {
  const page = await open();
  const part = await reach(page, "constant-rate");
  const show = part.locator(".draw-show");
  const seen = { before: { answers: [...page.answers], disabled: await show.isDisabled(), accessible: await accessible(page, "#draw-constant-rate", ".draw-fold") } };
  const inside = page.locator("#draw-constant-rate-answer");
  seen.before.folded = await inside.evaluate((element) => !element.checkVisibility({ contentVisibilityAuto: true }) || element.hidden !== false);
  seen.before.inPart = await part.evaluate((element) => element.querySelectorAll(".draw-mean, .draw-run").length);
  await drag(page, part, [0.01, 0.5], [0.5, 0.4]);
  seen.half = { disabled: await show.isDisabled(), status: await text(part, ".draw-status") };
  await drag(page, part, [0.5, 0.4], [0.995, 0.1]);
  seen.whole = { disabled: await show.isDisabled(), status: await text(part, ".draw-status") };
  await part.getByRole("button", { name: "Undo" }).click();
  seen.undone = { disabled: await show.isDisabled() };
  await drag(page, part, [0.5, 0.4], [0.995, 0.1]);
  await show.click();
  await part.locator(".draw-off-words").waitFor();
  seen.after = {
    answers: [...page.answers], runs: await part.locator(".draw-run").count(), result: await text(part, ".draw-result"),
    picture: await part.locator(".draw-svg").getAttribute("aria-label"), folded: await inside.evaluate((element) => element.hidden),
    live: await part.locator(".draw-result").getAttribute("aria-live"), accessible: await accessible(page, "#draw-constant-rate"),
    kept: (await kept(page))["constant-rate"],
  };
  await part.getByRole("button", { name: "Draw again" }).click();
  seen.again = { runs: await part.locator(".draw-run").count(), disabled: await show.isDisabled() };
  await drag(page, part, [0.01, 0.9], [0.995, 0.9]);
  await show.click();
  await part.locator(".draw-off-words").waitFor();
  seen.again.kept = (await kept(page))["constant-rate"];
  await page.reload();
  const later = await reach(page, "constant-rate", false);
  await later.locator(".draw-off-words").waitFor();
  seen.reloaded = { result: await text(later, ".draw-result"), kept: (await kept(page))["constant-rate"] };
  await page.context().close();
  return seen;
}

async function touch() {
  const page = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  const client = await page.context().newCDPSession(page);
  const finger = async (from, to) => {
    const point = (share) => [{ x: from[0] + share * (to[0] - from[0]), y: from[1] + share * (to[1] - from[1]) }];
    await client.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: point(0) });
    for (let i = 1; i <= 12; i++) await client.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: point(i / 12) });
    await client.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await page.waitForTimeout(300);
  };
  const part = await reach(page, "paper-accuracy");
  const box = await part.locator(".draw-pen").boundingBox();
  const start = await page.evaluate(() => scrollY);
  await finger([box.x + 5, box.y + 0.2 * box.height], [box.x + box.width - 3, box.y + 0.9 * box.height]);
  const seen = { scrolledWhileDrawing: (await page.evaluate(() => scrollY)) - start, disabled: await part.locator(".draw-show").isDisabled(), excess: await excess(page) };
  const prompt = await part.locator(".draw-status").boundingBox();
  await finger([prompt.x + 40, prompt.y + 5], [prompt.x + 40, prompt.y - 200]);
  seen.scrolledBeside = (await page.evaluate(() => scrollY)) - start;
  await part.locator(".draw-show").tap();
  await part.locator(".draw-off-words").waitFor();
  seen.result = await text(part, ".draw-off-words");
  seen.accessible = await accessible(page, "#draw-paper-accuracy");
  const bars = await reach(page, "shuffle");
  for (const pen of await bars.locator(".draw-pen").all()) {
    const row = await pen.boundingBox();
    const y = row.y + row.height / 2;
    await finger([row.x + 10, y], [row.x + row.width / 2, y]);
  }
  seen.bars = { status: await text(bars, ".draw-status"), accessible: await accessible(page, "#draw-shuffle") };
  await bars.locator(".draw-show").tap();
  await bars.locator(".draw-off-words").waitFor();
  seen.bars.result = await text(bars, ".draw-off-words");
  seen.bars.after = await accessible(page, "#draw-shuffle");
  seen.bars.excess = await excess(page);
  await page.context().close();
  return seen;
}

async function keys() {
  const page = await open();
  const part = await reach(page, "straight-line");
  const handle = part.getByRole("slider").first();
  await handle.focus();
  for (const key of ["ArrowUp", "ArrowRight", "PageUp", "ArrowRight", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
  const seen = { label: await handle.getAttribute("aria-label"), words: await handle.getAttribute("aria-valuetext"), sketch: (await kept(page))["straight-line"].answer };
  await page.keyboard.press("Control+z");
  seen.undone = (await kept(page))["straight-line"].answer;
  await page.keyboard.press("ArrowRight");
  for (const _ of [1, 2, 3]) await page.keyboard.press("ArrowRight");
  seen.enabled = await part.locator(".draw-show").isEnabled();
  await part.locator(".draw-show").focus();
  await page.keyboard.press("Enter");
  await part.locator(".draw-off-words").waitFor();
  seen.result = await text(part, ".draw-off-words");
  seen.focused = await page.evaluate(() => document.activeElement?.textContent);

  const number = await reach(page, "worth-of-the-skip");
  const [low, high, guess] = await number.locator(".draw-svg [role=slider]").all();
  await guess.focus();
  await page.keyboard.press("PageUp");
  seen.guessed = { disabled: await number.locator(".draw-show").isDisabled(), status: await text(number, ".draw-status"), accessible: await accessible(page, "#draw-worth-of-the-skip") };
  await low.focus();
  await page.keyboard.press("Home");
  await high.focus();
  await page.keyboard.press("PageDown");
  seen.ranged = (await kept(page))["worth-of-the-skip"].answer;
  await number.locator(".draw-show").press("Enter");
  await number.locator(".draw-off-words").waitFor();
  seen.range = { result: await text(number, ".draw-off-words"), accessible: await accessible(page, "#draw-worth-of-the-skip") };

  const bars = await reach(page, "fifty-layers");
  await bars.locator("summary").click();
  for (const slider of await bars.locator(".draw-sliders input").all()) await slider.fill("30");
  seen.sliders = (await kept(page))["fifty-layers"].answer;
  seen.slidersAccessible = await accessible(page, "#draw-fifty-layers");
  await page.context().close();
  return seen;
}

async function forbidden() {
  const page = await open({}, () => {
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
  });
  const part = await reach(page, "straight-line");
  await drag(page, part, [0.01, 0.5], [0.99, 0.2]);
  await page.route("**/*.answer.json", (route) => route.abort());
  await part.locator(".draw-show").click();
  await page.waitForFunction(() => document.querySelector("#draw-straight-line .draw-result")?.textContent);
  const seen = { failed: await text(part, ".draw-result") };
  found.noise.length = 0; // the failed request, on purpose
  await page.unroute("**/*.answer.json");
  await part.locator(".draw-show").click();
  await part.locator(".draw-off-words").waitFor();
  seen.result = await text(part, ".draw-result");
  await page.context().close();
  return seen;
}

async function judged() {
  const page = await open({ acceptDownloads: true });
  await page.goto(JUDGED);
  await page.locator(".judged").waitFor();
  const seen = { empty: { text: await text(page, ".judged"), accessible: await accessible(page, "main") } };
  const links = await page.locator(".judged a").evaluateAll((all) => all.map((link) => link.href));
  seen.empty.links = links.map((link) => link.slice(address.length));
  await page.evaluate((key) => localStorage.setItem(key, JSON.stringify({
    "straight-line": { answer: [50, 60, 70, 80], shown: true, on: "2026-01-01" },
    shuffle: { answer: [50, 50, 50], shown: true },
    "worth-of-the-skip": { answer: [2, -10, 10], shown: true },
    width: { answer: [15, 14, 16], shown: true },
    "second-guess": { answer: [50, 0, 100], shown: true },
    family: { answer: [50, null, null, null, null, null, null, null, null], shown: false },
    "gone-since": { answer: [1], shown: true },
    "constant-rate": { answer: [50, 60], shown: true }, // the question had two epochs once
    "paper-accuracy": { shown: true },
  })), KEY);
  await page.reload();
  await page.locator(".judged-list").waitFor();
  seen.some = { text: await text(page, ".judged"), cards: await page.locator(".judged-list > li").count(), rows: await page.locator(".judged-ranges li").allInnerTexts(), accessible: await accessible(page, "main") };
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save my predictions" }).click();
  seen.saved = JSON.parse(await readFile(await (await download).path(), "utf8"));
  await page.setViewportSize({ width: 360, height: 740 });
  await page.waitForTimeout(500);
  seen.narrow = { excess: await excess(page), accessible: await accessible(page, "main") };
  await page.getByRole("button", { name: "Forget all predictions" }).click();
  await page.getByRole("button", { name: "No, keep them" }).click();
  seen.spared = (await kept(page)) !== null;
  await page.getByRole("button", { name: "Forget all predictions" }).click();
  await page.getByRole("button", { name: "Yes, forget them" }).click();
  await page.locator(".judged-list").waitFor({ state: "detached" });
  seen.forgotten = { kept: await kept(page), text: await text(page, ".judged") };
  await page.context().close();
  return seen;
}

/** Every question starts in its chapter, with its section folded, and asks for no answer. */
async function everywhere() {
  const page = await open();
  const titles = {};
  let last;
  for (const name of questions) {
    const [where, id] = name.split("/");
    const part = await reach(page, id, where !== last);
    last = where;
    titles[id] = await text(part, ".draw-title");
  }
  const seen = { titles, answers: page.answers };
  await page.goto(`${chapter("constant-rate")}#draw-constant-rate`);
  await reach(page, "constant-rate", false);
  // A link into a folded section opens it.
  await page.evaluate(() => {
    document.querySelector("#draw-constant-rate-answer .cell").id = "inside";
    location.hash = "#inside";
  });
  await page.waitForFunction(() => !document.querySelector("#draw-constant-rate-answer").hidden);
  seen.opened = true;
  await page.context().close();
  return seen;
}

/** A part that starts late: the reader is in what it would fold, by the keys or with the eyes alone. */
async function late() {
  const seen = {};
  const ways = { "keys past it": ["figure a", "center"], "keys below it": [".copybtn", "end"], scrolling: ["figure a", "center"] };
  for (const [way, [target, block]] of Object.entries(ways)) {
    const page = await open();
    /** @type {() => void} */
    let release = () => {};
    const released = new Promise((resolve) => (release = () => resolve(null)));
    await page.route("**/draw/digits-and-photographs.json", (route) => released.then(() => route.continue()));
    const asked = page.waitForRequest("**/draw/digits-and-photographs.json");
    await page.goto(chapter("digits-and-photographs"));
    const part = page.locator("#draw-digits-and-photographs");
    await part.scrollIntoViewIfNeeded();
    await asked;
    const after = page.locator(`section:has(> #draw-digits-and-photographs) .cell ${target}`).first();
    await after.evaluate((element, block) => element.scrollIntoView({ block, behavior: "instant" }), block);
    if (way !== "scrolling") await after.evaluate((element) => element.focus({ preventScroll: true }));
    const where = () => after.evaluate((element) => [element.getBoundingClientRect().top, element === document.activeElement, element.checkVisibility()]);
    const before = await where();
    release();
    await part.and(page.locator("[data-state=live]")).waitFor();
    await page.waitForTimeout(300);
    seen[way] = { before, after: await where() };
    await page.context().close();
  }
  // The still form of this one has a link, which is replaced.
  const page = await open({ viewport: { width: 1280, height: 100 } });
  await page.goto(chapter("constant-rate"));
  await page.locator("#draw-constant-rate a").focus();
  await page.locator("#draw-constant-rate[data-state=live]").waitFor();
  seen.inStillForm = await page.evaluate(() => document.activeElement?.id);
  await page.context().close();
  return seen;
}

for (const scene of [mouse, touch, keys, forbidden, judged, everywhere, late]) found[scene.name] = await scene();
await browser.close();
console.log(JSON.stringify(found));
