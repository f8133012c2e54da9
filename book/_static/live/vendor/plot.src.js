// What vendor/plot.js holds: the parts of Observable Plot that the pages use. README.md has the command.
export { areaY, axisX, axisY, dot, lineY, plot, pointerX, ruleX, ruleY, tip } from "@observablehq/plot";
