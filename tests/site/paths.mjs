// node paths.mjs CHROMIUM ADDRESS: what a reader does with the network's parts, by mouse, keyboard and touch.
import { chromium } from "playwright-core";

const [executablePath, address] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
await page.goto(`${address}/book/switch-off-a-path.html`);
const part = page.locator("[data-live=paths]");
await part.scrollIntoViewIfNeeded();
await part.locator(".paths").waitFor();
const value = () => part.locator(".paths-value b").innerText();
const words = () => part.locator(".paths-words").innerText();
const found = { whole: await value() };

await part.locator("[data-part=skip] [role=switch]").click();
found.skip = { value: await value(), words: await words() };
found.seeds = await part.locator(".paths-choose small").allInnerTexts();
await part.getByRole("radio", { name: "seed 2" }).check();
found.kept = await value();
await part.getByRole("radio", { name: "seed 0" }).check();
await part.locator("[data-part=conv3] [role=switch]").press("Space");
found.both = { value: await value(), words: await words() };
await part.getByRole("button", { name: "Switch everything on" }).press("Enter");
found.back = await value();

const squares = part.locator("[data-part=conv3] .paths-squares");
await squares.locator("button").first().focus();
await page.keyboard.press("ArrowRight");
await page.keyboard.press("Enter");
found.channel = { value: await value(), pressed: await squares.locator("[aria-pressed=true]").count(), words: await words() };

await part.getByRole("radio", { name: "seed 1" }).check();
found.seed1 = { value: await value(), facts: await part.locator(".paths-facts").innerText() };
await part.getByRole("radio", { name: "seed 1" }).press("ArrowRight");
found.seed2 = await value();
await part.getByRole("radio", { name: "constant rate" }).check();
found.constant = await value();
await page.goto(`${address}/notebooks/04_convolutions_and_a_skip.html`);
await part.scrollIntoViewIfNeeded();
await part.locator(".paths").waitFor();
found.limited = await part.locator(".paths-choose legend").count();
await browser.close();

const phone = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const touch = await phone.newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
await touch.goto(`${address}/book/switch-off-a-path.html`);
await touch.locator("[data-live=paths]").scrollIntoViewIfNeeded();
await touch.locator("[data-part=skip] [role=switch]").tap();
found.tapped = await touch.locator(".paths-value b").innerText();
await phone.close();
console.log(JSON.stringify(found));
