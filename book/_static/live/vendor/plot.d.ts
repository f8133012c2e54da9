// As much of Observable Plot's types as the pages use.
export interface Mark {}
type Make = (data: Iterable<unknown>, options?: object) => Mark;
export const areaY: Make;
export const dot: Make;
export const lineY: Make;
export const ruleX: Make;
export const ruleY: Make;
export const tip: Make;
export function axisX(options: object): Mark;
export function axisY(options: object): Mark;
export function plot(options: object): HTMLElement;
export function pointerX(options: object): object;
