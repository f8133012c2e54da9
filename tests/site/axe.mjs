// What axe finds on a page as it is now, in light and in dark: the audit sees pages only as they open.
import { createRequire } from "node:module";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export async function violations(page, selector) {
  const found = [];
  if (!(await page.evaluate(() => "axe" in window))) await page.addScriptTag({ path: axe });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, colorScheme);
    const { violations } = await page.evaluate(
      (context) => window.axe.run(context, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"] }),
      selector,
    );
    found.push(...violations.flatMap(({ id, nodes }) => nodes.map((node) => `${colorScheme}, ${id}: ${node.target.join(" ")}`)));
  }
  return found;
}
