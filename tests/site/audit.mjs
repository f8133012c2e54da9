// node audit.mjs CHROMIUM ADDRESS PAGE...: what Chromium and axe find on each page, as JSON.
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const [executablePath, address, ...paths] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage();
let noise = [];
page.on("request", (request) => {
  const url = request.url();
  if (!url.startsWith(address) && !/^(data|blob):/.test(url)) noise.push(`asks ${url}`);
});
page.on("requestfailed", (request) => noise.push(`failed ${request.url()}`));
page.on("response", (response) => {
  if (response.status() >= 400) noise.push(`${response.status()} ${response.url()}`);
});
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) noise.push(`console: ${message.text()}`);
});
page.on("pageerror", (error) => noise.push(`error: ${error.message}`));

const found = [];
for (const path of paths) {
  for (const theme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      const t0 = Date.now();
      noise = [];
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      if (!(theme=="dark"&&0)) await page.goto(`${address}/${path}`, { waitUntil: "networkidle" });
      const t1 = Date.now();
      await page.addScriptTag({ path: axe });
      const result = await page.evaluate(async (tags) => {
        for (const details of document.querySelectorAll("details")) details.open = true;
        const { violations } = await axe.run(document, {
          runOnly: tags, resultTypes: ["violations"],
        });
        return {
          shown: document.documentElement.dataset.theme,
          excess: document.scrollingElement.scrollWidth - innerWidth,
          violations: violations.flatMap(({ id, nodes }) =>
            nodes.map((node) => ({ rule: id, selector: node.target.join(" "), why: node.failureSummary, html: node.html.slice(0,200) }))),
        };
      }, tags);
      found.push({ page: path, theme, width, noise, load: t1-t0, axe: Date.now()-t1, ...result });
    }
  }
}
await browser.close();
console.log(JSON.stringify(found));
