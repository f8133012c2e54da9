// node budgets.mjs CHROMIUM ADDRESS PAGE...: what each page fetches before the reader does anything, how soon and
// how steadily it stands, and where the Tab key leads on it, as JSON.
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";

const [executablePath, address, ...paths] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });

/** The vitals that Chromium itself reports: milliseconds, and the layout shift as a share of the window. */
function observe() {
  window.vitals = { paint: 0, blocked: 0, shift: 0 };
  const watch = (type, take) =>
    new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
  watch("largest-contentful-paint", (entry) => { window.vitals.paint = entry.startTime; });
  watch("longtask", (entry) => { window.vitals.blocked += entry.duration - 50; });
  watch("layout-shift", (entry) => { if (!entry.hadRecentInput) window.vitals.shift += entry.value; });
}

/** What has the focus, and whether that can be seen. */
function focused() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  window.visited ??= new Map();
  if (!window.visited.has(element)) window.visited.set(element, window.visited.size);
  // A radio button or a switch may be drawn by its neighbour or its label.
  const drawn = [element, element.nextElementSibling, element.parentElement].filter(Boolean);
  const seen = drawn.some((each) => {
    const style = getComputedStyle(each);
    return style.outlineStyle !== "none" || style.boxShadow !== "none";
  });
  const { width, height, top, bottom } = element.getBoundingClientRect();
  const inside = width > 0 && height > 0 && bottom > 0 && top < innerHeight;
  return { number: window.visited.get(element), seen, inside, top, html: element.outerHTML.slice(0, 120) };
}

const found = {};
for (const path of paths) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.addInitScript(observe);
  const fetched = [];
  page.on("response", (answer) => fetched.push(answer.body().then(
    (body) => ({ url: answer.url(), type: answer.request().resourceType(), bytes: gzipSync(body).length }),
    () => null, // a redirection has no body
  )));
  await page.goto(`${address}/${path}`, { waitUntil: "load" });
  await page.waitForTimeout(1000);
  const files = (await Promise.all(fetched)).filter(Boolean);
  const stops = [];
  let back = null; // where the walk goes on after its end: at its first stop again, if all is well
  for (let i = 0; i < 1500; i++) {
    await page.keyboard.press("Tab");
    let stop = await page.evaluate(focused);
    if (stop && !stop.inside) {
      await page.waitForTimeout(400); // some links slide in
      stop = await page.evaluate(focused);
    }
    const end = !stop; // after the last stop, or where the page has lost the focus
    if (end) {
      await page.keyboard.press("Tab");
      stop = await page.evaluate(focused);
    }
    back = stop;
    if (end || stop.number < stops.length) break;
    stops.push(stop);
  }
  found[path] = { files, stops, back, vitals: await page.evaluate(() => window.vitals) };
  await page.close();
}
await browser.close();
console.log(JSON.stringify(found));
