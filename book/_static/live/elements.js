// Elements from a tag, its attributes, and what stands in it.

/**
 * @typedef {Node | string | number | false | null | undefined} Part
 * @typedef {Part | Part[]} Content
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | EventListener>} [attributes]  true stands for "", false for none;
 *   a function is a listener
 * @param {...Content} content  false, null and undefined stand for nothing
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...content) {
  return fill(document.createElement(tag), attributes, content);
}

/**
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | EventListener>} [attributes]  as in `make`
 * @param {...Content} content
 * @returns {SVGElementTagNameMap[T]}
 */
export function draw(tag, attributes = {}, ...content) {
  return fill(document.createElementNS(SVG, tag), attributes, content);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Record<string, string | number | boolean | EventListener>} attributes
 * @param {Content[]} content
 */
function fill(element, attributes, content) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const part of content.flat()) {
    if (part !== false && part != null) element.append(part instanceof Node ? part : String(part));
  }
  return element;
}
