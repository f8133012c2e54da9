// node audit.mjs CHROMIUM ADDRESS PAGE...: what Chromium and axe find on each page, as JSON.
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const [executablePath, address, ...paths] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: ["no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync"].map((name) => `--${name}`),
});
const context = await browser.newContext({ reducedMotion: "reduce" });
await context.addInitScript(() => {
  localStorage.clear(); // each page is a reader's first

  // The elements of the page that look like one before them. Axe takes its time, and the first speaks for all.
  window.repeated = (selector) => {
    const root = document.querySelector("main");
    const above = (e) => (e === root ? [] : [...above(e.parentElement), e]);
    const looks = new Set();
    const found = new Set();
    for (const element of root.querySelectorAll(selector)) {
      const path = above(element);
      const look = path.map((e) => [e.tagName, e.className, e.getAttribute("style")]).join();
      if (looks.has(look)) found.add(element);
      else path.forEach((e) => found.delete(e));
      looks.add(look);
    }
    return found;
  };
});

const page = await context.newPage();
let noise = [];
page.on("request", (request) => {
  const local = /^(data|blob):/.test(request.url()) || request.url().startsWith(`${address}/`);
  if (!local) noise.push(`asks ${request.url()}`);
});
page.on("response", (answer) => answer.status() < 400 || noise.push(`${answer.status()} ${answer.url()}`));
page.on("requestfailed", (request) => noise.push(`failed: ${request.url()}`));
page.on("console", (message) => message.type() !== "error" || noise.push(`console: ${message.text()}`));
page.on("pageerror", (error) => noise.push(`error: ${error.message}`));

// The theme changes nothing but colours, and the width none of them: these rules are tried once for each theme,
// the others once for each width.
const colours = ["color-contrast", "link-in-text-block"];
const all = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const others = { runOnly: all, rules: Object.fromEntries(colours.map((rule) => [rule, { enabled: false }])) };

async function violations(options) {
  const found = await axe.run({ ...options, resultTypes: ["violations"] });
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}`));
}

function shape() {
  const elements = [...document.querySelectorAll("article *")];
  const outside = elements.filter((element) => element.getBoundingClientRect().right > innerWidth);
  // `width` and `height` are those of the picture as it is shown, without a frame around it.
  const distorted = [...document.querySelectorAll("article img")].filter((image) =>
    image.naturalWidth
    && Math.abs((image.width / image.height) / (image.naturalWidth / image.naturalHeight) - 1) > 0.05);
  // Charts have letters of 15 pixels, and two pixels of the file are one of the page.
  const small = [...document.querySelectorAll("article .cell_output img")].filter((image) =>
    image.getBoundingClientRect().width < 0.6 * (image.naturalWidth / 2));
  return {
    small: small.map((image) => image.src),
    distorted: distorted.map((image) => image.src),
    shown: document.documentElement.dataset.theme,
    excess: document.scrollingElement.scrollWidth - innerWidth,
    widest: outside.at(-1)?.outerHTML.slice(0, 80),
  };
}

async function look(theme, width) {
  await page.setViewportSize({ width, height: 800 });
  await page.emulateMedia({ colorScheme: theme });
  // The theme answers to a change of light with the next frame.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

const found = [];
for (const path of paths) {
  await look("light", 1280);
  await page.goto(`${address}/${path}`);
  await page.addScriptTag({ path: axe });
  await page.evaluate(() => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    for (const token of repeated("pre span")) token.replaceWith(...token.childNodes);
  });
  const views = [];
  for (const width of [1280, 360]) {
    await look("light", width);
    // The theme gives boxes that scroll their tab stops 0.3 seconds after the window has changed.
    await page.evaluate(() => new Promise((done) => setTimeout(done, 400)));
    const structure = await page.evaluate(violations, others);
    for (const theme of ["light", "dark"]) {
      await look(theme, width);
      views.push({ theme, width, violations: structure, ...(await page.evaluate(shape)) });
    }
  }
  await page.evaluate(() => repeated("*").forEach((element) => element.remove()));
  for (const view of views.filter(({ width }) => width === 1280)) {
    await look(view.theme, 1280);
    view.violations = [...view.violations, ...(await page.evaluate(violations, { runOnly: colours }))];
  }
  found.push({ path, noise, views });
  noise = [];
}
await browser.close();
console.log(JSON.stringify(found));
