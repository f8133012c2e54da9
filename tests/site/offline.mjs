// node offline.mjs CHROMIUM ADDRESS FILE: what the live parts of a page show when it is opened from a folder.
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [executablePath, , file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
await page.goto(pathToFileURL(file).href);
const part = page.locator("[data-live]").first();
await part.scrollIntoViewIfNeeded();
await page.waitForTimeout(500);
const room = await part.evaluate((element) => getComputedStyle(element).paddingTop);
const links = await page.locator("nav a[href$='.html']").evaluateAll((all) => all.map((link) => link.href));
await page.goto(links.find((link) => link.endsWith("provenance.html")));
const found = { room, title: await page.title() };
await page.goBack();
console.log(JSON.stringify({ ...found, state: await part.getAttribute("data-state"), text: await part.innerText() }));
await browser.close();
