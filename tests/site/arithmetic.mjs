// node arithmetic.mjs < QUESTIONS: what the live parts' arithmetic answers, as JSON.
import { readFileSync } from "node:fs";
import { repeat, summarize } from "../../book/_static/live/luck-simulate.js";
import { percent } from "../../book/_static/live/runs-list.js";
import { tQuantile, welch } from "../../book/_static/live/statistics.js";

const { freedoms = [], pairs = [], shares = [], settings = [], images, experiments } = JSON.parse(readFileSync(0, "utf8"));
console.log(
  JSON.stringify({
    quantiles: freedoms.map(tQuantile),
    intervals: pairs.map(([first, second]) => Object.values(welch(first, second))),
    percents: shares.map(percent),
    summaries: settings.map((one) => summarize(repeat(one, images, experiments, 1), one.difference)),
  }),
);
