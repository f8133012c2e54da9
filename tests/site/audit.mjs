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
// Each page is a reader's first.
await context.addInitScript(() => localStorage.clear());

function prepare() {
  for (const details of document.querySelectorAll("details")) details.open = true;
  // Axe takes its time over colours, and like elements have like ones: the first of each look stands for the others.
  const looks = new Set();
  const root = document.querySelector("main");
  const above = (e) => (e === root ? [] : [...above(e.parentElement), e]);
  for (const element of root.querySelectorAll("*")) {
    const path = above(element);
    const look = path.map((e) => [e.tagName, e.className, e.getAttribute("style")]).join();
    if (looks.has(look)) element.setAttribute("data-seen", "");
    else for (const e of path) e.removeAttribute("data-seen");
    looks.add(look);
  }
  for (const token of document.querySelectorAll("pre span[data-seen]")) token.replaceWith(...token.childNodes);
}

// The theme changes nothing but colours, and the width none of them.
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const colourRules = ["color-contrast", "link-in-text-block"];
const others = [{ include: ["html"] }, { runOnly: tags, rules: Object.fromEntries(colourRules.map((rule) => [rule, { enabled: false }])) }];
const colours = [{ exclude: ["[data-seen]"] }, { runOnly: colourRules }];
const runs = { "light 1280": [colours, others], "dark 1280": [colours], "light 360": [others], "dark 360": [] };

// The theme gives boxes that scroll their tab stops 0.3 seconds after the window has changed.
const settle = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 400)));

async function check(runs) {
  // The theme answers to a change of light with the next frame.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const violations = [];
  for (const [where, options] of runs) {
    const found = await axe.run(where, { ...options, resultTypes: ["violations"] });
    for (const { id, nodes } of found.violations) violations.push(...nodes.map((node) => `${id}: ${node.target.join(" ")}`));
  }
  const outside = [...document.querySelectorAll("article *")].filter((e) => e.getBoundingClientRect().right > innerWidth);
  return {
    shown: document.documentElement.dataset.theme,
    excess: document.scrollingElement.scrollWidth - innerWidth,
    widest: outside.at(-1)?.outerHTML.slice(0, 80),
    violations,
  };
}

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

const found = [];
for (const path of paths) {
  const views = [];
  for (const width of [1280, 360]) {
    await page.setViewportSize({ width, height: 800 });
    if (views.length) await page.evaluate(settle);
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      if (!views.length) {
        await page.goto(`${address}/${path}`);
        await page.evaluate(prepare);
        await page.addScriptTag({ path: axe });
      }
      views.push({ theme, width, ...(await page.evaluate(check, runs[`${theme} ${width}`])) });
    }
  }
  found.push({ path, noise, views });
  noise = [];
}
await browser.close();
console.log(JSON.stringify(found));
