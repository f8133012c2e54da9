// node runs.mjs CHROMIUM ADDRESS: a reader sorts, filters, opens and compares recorded runs; what is shown, as JSON.
import { chromium } from "playwright-core";
import { violations } from "./axe.mjs";

const [executablePath, address] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
const asked = [];
const errors = [];
page.on("request", (request) => asked.push(new URL(request.url()).pathname));
page.on("pageerror", (error) => errors.push(error.message));
await page.goto(`${address}/book/all-runs.html`);
await page.waitForSelector('[data-live="runs"][data-state="live"]');

const rows = () => page.$$eval(".runs-table > tbody > tr:not(.runs-detail) .runs-open", (all) => all.map((one) => one.textContent));
const text = (selector) => page.locator(selector).innerText();
const found = { rows: await rows(), count: await text(".runs-count output") };
const charts = () => asked.some((path) => path.includes("/live/vendor/"));

// By keyboard: sort by test accuracy, twice.
await page.locator(".runs-table thead button", { hasText: "test, %" }).focus();
await page.keyboard.press("Enter");
found.sorted = (await rows()).slice(0, 3);
found.order = await page.locator("th.runs-test").getAttribute("aria-sort");
await page.keyboard.press("Enter");
found.turned = (await rows()).slice(-3).reverse();

await page.locator('[name="text"]').fill("shuffled");
found.filtered = await rows();
await page.locator('[name="text"]').fill("no such recipe");
found.nothing = await text(".runs-count output");
await page.locator(".runs-filter [type=reset]").click();
await page.waitForFunction((count) => document.querySelectorAll(".runs-open").length === count, found.rows.length);

await page.locator(".runs-open").first().click();
const opened = page.locator(".runs-detail:visible").first();
found.command = await opened.locator("code").innerText();
found.records = await opened.locator("a").evaluateAll((all) => all.map((one) => one.href));
found.chartsBefore = charts();

// Two rows by their boxes, then a third, which takes the place of the first.
for (const name of ["paper, ", "mlp, 10,000", "mlp-shuffled, 10,000"]) {
  await page.locator(`input[aria-label^="Compare ${name}"]`).check();
}
found.tray = await page.locator(".runs-tray li").allInnerTexts();
found.checked = await page.locator(".runs-table input:checked").count();
await page.locator(".runs-main").click();
await page.waitForSelector(".runs-charts svg");
found.focused = await page.evaluate(() => document.activeElement?.className);
found.verdict = await text(".runs-verdict");
found.agreement = await page.locator(".runs-key li").allInnerTexts();
found.differs = await page.locator(".runs-comparison tbody tr", { hasText: "data" }).first().innerText();
found.figures = await page.locator(".runs-charts svg").count();
found.chartsAfter = charts();
found.address = page.url();
found.redo = await text(".runs-comparison pre");
found.errors = errors;
await page.evaluate(() => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
// A few rows of the table speak for all.
await page.locator('[name="text"]').fill("paper");
found.violations = await violations(page, '[data-live="runs"]');

await page.setViewportSize({ width: 360, height: 740 });
await page.waitForTimeout(300);
found.excess = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);

// The address of the comparison, opened by somebody else.
const other = await browser.newPage();
await other.goto(found.address);
await other.waitForSelector(".runs-charts svg");
found.again = await other.locator(".runs-verdict").innerText();
await browser.close();

// Without JavaScript, the table that was built with the page.
const still = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const plain = await (await still.newContext({ javaScriptEnabled: false })).newPage();
await plain.goto(`${address}/book/all-runs.html`);
found.still = await plain.locator("table.recorded-runs tbody tr").count();
await still.close();
console.log(JSON.stringify(found));
