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
  // Most of axe's time goes to the colours of code: each colour on each ground needs to be measured once.
  const seen = new Set();
  for (const token of document.querySelectorAll("pre span[class]")) {
    const look = `${token.className} in ${token.closest("div.highlight, div.output")?.parentElement.className}`;
    if (seen.has(look)) token.replaceWith(...token.childNodes);
    seen.add(look);
  }
}

// The theme changes nothing but colours, and the width none of them.
const colours = ["color-contrast", "link-in-text-block"];
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const off = Object.fromEntries(colours.map((rule) => [rule, { enabled: false }]));
const rules = {
  "light 1280": { runOnly: tags },
  "dark 1280": { runOnly: colours },
  "light 360": { runOnly: tags, rules: off },
};

// The theme gives boxes that scroll their tab stops 0.3 seconds after the window has changed.
const settle = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 400)));

async function check(rules) {
  // The theme answers to a change of light with the next frame.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const { violations } = rules ? await axe.run({ ...rules, resultTypes: ["violations"] }) : { violations: [] };
  const outside = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth);
  return {
    shown: document.documentElement.dataset.theme,
    excess: document.scrollingElement.scrollWidth - innerWidth,
    widest: outside.at(-1)?.outerHTML.slice(0, 80),
    violations: violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}`)),
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
      views.push({ theme, width, ...(await page.evaluate(check, rules[`${theme} ${width}`])) });
    }
  }
  found.push({ path, noise, views });
  noise = [];
}
await browser.close();
console.log(JSON.stringify(found));
