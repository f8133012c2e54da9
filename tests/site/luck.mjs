// node luck.mjs CHROMIUM ADDRESS: a reader guesses, sees the experiments, and moves the sliders; as JSON.
import { chromium } from "playwright-core";
import { violations } from "./axe.mjs";

const [executablePath, address] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
const errors = [];
page.on("pageerror", (error) => errors.push(error.message));
await page.goto(`${address}/book/luck.html`);
await page.waitForSelector('[data-live="luck"][data-state="live"]');
const text = (selector) => page.locator(selector).innerText();
const found = { hiddenBefore: !(await page.locator(".luck-chart").isVisible()) };

// By keyboard: a guess of 45, then the answer.
await page.locator("#luck-guess").focus();
for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowLeft");
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await page.waitForSelector(".luck-chart svg");
found.told = await text(".luck-told");
found.experiments = await page.locator(".luck-chart [data-kind]").count();
found.alarms = await page.locator('.luck-chart [data-kind="b"]').count();
found.focused = await page.evaluate(() => document.activeElement?.className);

// The same luck meets a large difference.
found.milliseconds = await page.evaluate(() => {
  const times = [];
  for (const value of [0.5, 1, 1.5, 2, 3]) {
    const slider = /** @type {HTMLInputElement} */ (document.querySelector("#luck-difference"));
    slider.value = String(value);
    const before = performance.now();
    slider.dispatchEvent(new Event("input"));
    document.body.getBoundingClientRect(); // with its layout
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b)[2];
});
await page.locator("#luck-seeds").fill("30");
found.large = await text(".luck-told");
found.right = await page.locator('.luck-chart [data-kind="a"]').count();
found.pressed = await page.locator('.luck-presets [aria-pressed="true"]').count();

const before = await page.locator(".luck-chart").innerHTML();
await page.locator("button", { hasText: "Repeat with other luck" }).click();
found.otherLuck = before !== (await page.locator(".luck-chart").innerHTML());

await page.locator(".luck-presets button").nth(4).click();
found.askedAgain = await page.locator(".luck-guess").isVisible();
found.hiddenAgain = !(await page.locator(".luck-chart").isVisible());
await page.setViewportSize({ width: 360, height: 740 });
await page.locator(".luck-guess button").click();
await page.waitForTimeout(300);
found.own = await text(".luck-told");
found.excess = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
found.errors = errors;
found.violations = await violations(page, "main");

const plain = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
await plain.goto(`${address}/book/luck.html`);
found.still = await plain.locator("table.luck-power tbody tr").count();
found.verdict = await plain.locator("main").innerText();
await browser.close();
console.log(JSON.stringify(found));
