// node network.mjs CHROMIUM ADDRESS PHOTO IMAGES: what happens on the page on which readers try the networks,
// as JSON. PHOTO is an image file; IMAGES holds {"pixels": base64 of float32, "probabilities": {network: [...]}},
// or is absent, and then no answers are compared.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const [executablePath, address, photo, images] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: ["no-sandbox", "disable-gpu", "use-fake-device-for-media-stream", "use-fake-ui-for-media-stream"].map(
    (name) => `--${name}`),
});
const found = {};

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const asked = [], noise = [];
  page.on("response", (answer) => asked.push(answer.body().then(
    (body) => ({ url: answer.url(), bytes: body.length }),
    () => ({ url: answer.url(), bytes: 0 }), // the page is closed, or it was a redirection
  )));
  page.on("pageerror", (error) => noise.push(error.message));
  page.on("console", (message) => message.type() !== "error" || noise.push(message.text()));
  await page.goto(`${address}/book/try-the-network.html`);
  return { page, asked, noise };
}

const live = (page) => page.waitForSelector('[data-state="live"]');
const cards = (page) => page.$$eval(".net-card", (all) => all.map((card) => ({
  answered: Number(card.dataset.answered ?? 0),
  bars: [...card.querySelectorAll("li")].map((bar) => bar.innerText.replace(/\s+/g, " ")),
  ms: Number(card.querySelector(".net-time")?.dataset.ms),
})));
/** Do something, and wait until every network has answered to it. */
async function after(page, act) {
  const before = Math.max(...(await cards(page)).map(({ answered }) => answered));
  await act();
  await page.waitForFunction((last) => {
    const all = [...document.querySelectorAll(".net-card")];
    return all.every((card) => Number(card.dataset.answered) > last && !card.hasAttribute("aria-busy"));
  }, before, { timeout: 60000 });
  return cards(page);
}
const slide = (page, name, value) => page.$eval(`[data-change="${name}"]`, (input, to) => {
  input.value = to;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}, String(value));
const pixels = (page) => page.$eval("canvas.net-image", (canvas) =>
  [...canvas.getContext("2d").getImageData(0, 0, 32, 32).data].filter((_, i) => i % 4 < 3));

// Without JavaScript: the still form.
{
  const { page } = await open({ javaScriptEnabled: false });
  found.still = await cards(page);
}

// As a reader uses it, with a mouse.
{
  const { page, asked, noise } = await open();
  await live(page);
  found.before = (await Promise.all(asked)).filter(({ url }) => url.includes("/live/")).map(({ url, bytes }) => ({ url: url.slice(address.length), bytes }));
  found.first = await after(page, () => page.click(".net-thumb:nth-child(9)"));
  found.fetched = (await Promise.all(asked)).filter(({ url }) => url.endsWith(".bin")).length;
  const start = await pixels(page);
  found.shuffled = await after(page, () => page.check('[data-change="shuffled"]'));
  const mixed = await pixels(page);
  found.permutation = [...mixed].sort().join() === [...start].sort().join() && mixed.join() !== start.join();
  await after(page, () => page.click('[data-action="reset"]'));
  found.undone = (await pixels(page)).join() === start.join();
  const box = await page.locator("canvas.net-image").boundingBox();
  found.covered = await after(page, async () => {
    await page.mouse.move(box.x + box.width / 4, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.up();
  });
  found.patch = await page.$$eval('[data-change="size"], [data-change="row"], [data-change="column"]', (all) => all.map((i) => i.valueAsNumber));
  await after(page, () => page.click('[data-action="reset"]'));
  await page.click('[data-action="map"]');
  await page.waitForFunction(() => document.querySelector(".net-found").textContent, null, { timeout: 120000 });
  found.evidence = await page.textContent(".net-found");
  found.inside = {};
  for (const radio of await page.$$('[name="net-network"]')) {
    await radio.check();
    const name = await radio.inputValue();
    await page.waitForFunction((chosen) => document.querySelector(".net-layers").dataset.look?.startsWith(`${chosen} `), name);
    found.inside[name] = await page.$$eval(".net-layers strong", (all) => all.map((label) => label.textContent));
    await page.click(".net-layers > :last-child .net-maps button");
    found.inside[name].push(await page.textContent(".net-large figcaption"));
  }
  await page.setInputFiles('input[type="file"]', photo);
  await page.waitForFunction(() => document.querySelector(".net-picture figcaption").textContent.startsWith("Your picture"));
  found.photo = await pixels(page);
  found.small = await page.evaluate(async (base) => {
    const { fromFile } = await import(`${base}/network/own.js`);
    const canvas = new OffscreenCanvas(32, 32), paint = canvas.getContext("2d"), image = new ImageData(32, 32);
    image.data.forEach((_, i) => (image.data[i] = i % 4 < 3 ? (i * 97) % 256 : 255));
    paint.putImageData(image, 0, 0);
    const taken = await fromFile(await canvas.convertToBlob());
    return Math.max(...taken.map((value, i) => Math.abs(value - image.data[4 * Math.floor(i / 3) + (i % 3)])));
  }, `${address}/_static/live`);
  found.unreadable = await page.evaluate(async () => {
    const data = new DataTransfer();
    data.items.add(new File(["no picture"], "notes.txt"));
    document.querySelector(".net").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    await new Promise((done) => setTimeout(done, 500));
    return document.querySelector(".net-status").textContent;
  });
  found.camera = await after(page, async () => {
    await page.click('[data-action="camera"]');
    await page.click('[data-do="take"]');
  });
  await page.click('[data-action="draw"]');
  const paper = await page.locator(".net-drawing").boundingBox();
  found.drawn = await after(page, async () => {
    await page.mouse.move(paper.x + 40, paper.y + 40);
    await page.mouse.down();
    await page.mouse.move(paper.x + 150, paper.y + 150, { steps: 5 });
    await page.mouse.up();
  });
  found.ink = (await pixels(page)).filter((value) => value < 100).length;
  found.times = Object.fromEntries(await page.$$eval(".net-card", (all) => all.map((card) => [card.dataset.network, []])));
  for (let i = 0; i < 20; i++) {
    await after(page, () => slide(page, "turn", 5 * i + 5));
    for (const [name, ms] of await page.$$eval(".net-card", (all) => all.map((card) =>
      [card.dataset.network, Number(card.querySelector(".net-time").dataset.ms)]))) found.times[name].push(ms);
  }
  await page.addScriptTag({ path: axe });
  found.violations = [];
  for (const [width, colorScheme] of [[1280, "light"], [360, "dark"]]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await page.waitForTimeout(500);
    found.violations.push(...(await page.evaluate(async () => {
      const { violations } = await axe.run(".net", { resultTypes: ["violations"] });
      return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}`));
    })));
    found.violations.push(...(await page.evaluate(() =>
      document.scrollingElement.scrollWidth > innerWidth ? [`${innerWidth} pixels are too narrow`] : [])));
  }
  found.elsewhere = (await Promise.all(asked)).map(({ url }) => url).filter((url) => !url.startsWith(address) && !/^(data|blob):/.test(url));
  found.noise = noise;
}

// From the first page, on a phone: a press on a picture leads to its answers.
{
  const { page } = await open({ viewport: { width: 360, height: 740 }, hasTouch: true });
  await page.goto(`${address}/book/intro.html`);
  const links = page.locator(".front-pictures a");
  found.front = { links: await links.count(), names: await links.evaluateAll((all) => all.map((link) => link.ariaLabel)) };
  await links.nth(11).tap();
  await page.waitForSelector('[data-network="fast-lean"][data-answered]');
  found.front.chosen = Number(await page.inputValue('[name="net-image"]:checked'));
  await page.locator('[data-change="turn"]').scrollIntoViewIfNeeded();
  found.front.glance = (await page.locator(".net-glance [data-of]").allTextContents());
  found.front.seen = await page.locator(".net-glance [data-of]").evaluateAll((all) => all.map((line) => {
    const box = line.getBoundingClientRect();
    return line.contains(document.elementFromPoint(box.left + 2, box.top + box.height / 2));
  }));
  found.front.cards = (await cards(page)).map(({ bars }) => bars[0]);
}

// With the keyboard alone.
{
  const { page } = await open();
  await live(page);
  await page.focus('[name="net-image"]:checked');
  await after(page, () => page.keyboard.press("ArrowRight"));
  found.keyboard = { picture: await page.$eval('[name="net-image"]:checked', (radio) => Number(radio.value)) };
  await page.focus('[data-change="size"]');
  await after(page, () => page.keyboard.press("ArrowRight"));
  await page.keyboard.press("Tab");
  found.keyboard.next = await page.evaluate(() => document.activeElement.dataset.change);
  await page.waitForSelector(".net-maps button");
  await page.focus('.net-maps button[tabindex="0"]');
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  found.keyboard.enlarged = await page.$$eval(".net-maps button", (all) => all.findIndex((b) => b.ariaPressed === "true"));
  await page.waitForTimeout(700);
  found.keyboard.told = await page.textContent(".net-told");
}

// Where WebAssembly fails and one network does not arrive.
{
  const { page } = await open();
  await page.route(/conv\.wasm|mlp\.bin/, (route) => route.abort());
  await live(page);
  await page.click(".net-thumb:nth-child(1)");
  await page.waitForSelector('[data-network="paper"][data-answered]');
  await page.waitForFunction(() => document.querySelector(".net-status").textContent.includes("could not"));
  found.troubled = {
    machine: await page.$eval(".net", (part) => part.dataset.machine),
    missing: await page.$$eval('[data-network="mlp"] li', (bars) => bars.length),
    bars: await page.$$eval('[data-network="paper"] li', (bars) => bars.length),
  };
}

// The answers, by both machines.
if (images) {
  const { page } = await open();
  found.differences = await page.evaluate(async ({ base, pixels, probabilities }) => {
    const { plain, prepare, simd, softmax } = await import(`${base}/network/engine.js`);
    const get = (path) => fetch(`${base}/${path}`).then((answer) => answer.arrayBuffer());
    const all = new Float32Array(Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0)).buffer);
    const { networks } = JSON.parse(new TextDecoder().decode(await get("models/networks.json")));
    const differences = {};
    for (const machine of [await simd(await get("network/conv.wasm")), plain()]) {
      for (const { name, model, temperature } of networks) {
        const network = prepare(model, await get(`models/${name}.bin`), machine);
        differences[`${name}, ${machine.name}`] = Math.max(...probabilities[name].map((right, i) => {
          const answer = softmax(network.run(all.subarray(3072 * i, 3072 * (i + 1))), temperature);
          return Math.max(...answer.map((share, label) => Math.abs(share - right[label])));
        }));
      }
    }
    return differences;
  }, { base: `${address}/_static/live`, ...JSON.parse(readFileSync(images, "utf8")) });
}
await browser.close();
console.log(JSON.stringify(found));
