// Starts the live parts of a page: <div data-live="NAME" …>…</div> is handed to ./NAME.js when it comes near
// the reader's view, and nothing is fetched before. What stands inside the element is its still form: it stays
// where there is no JavaScript, and wherever a part cannot start.

/**
 * @typedef {{ start: (element: HTMLElement) => void | Promise<void> }} Part  what each part's module exports
 */

/** @param {HTMLElement} element */
async function start(element) {
  const name = element.dataset.live ?? "";
  let focused = element.contains(document.activeElement);
  element.addEventListener("focusin", () => (focused = true));
  element.addEventListener("focusout", ({ relatedTarget }) => relatedTarget && (focused = false));
  try {
    /** @type {Part} */
    const part = await import(`./${name}.js`);
    await part.start(element);
    element.dataset.state = "live";
    if (focused && document.activeElement === document.body) {
      element.tabIndex = -1; // what had the focus was replaced: who reads by keys or by ear goes on here
      element.focus({ preventScroll: true });
    }
  } catch (error) {
    console.error(error); // the still form stays
    element.dataset.state = "still";
  }
}

const near = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      start(/** @type {HTMLElement} */ (entry.target));
    }
  },
  { rootMargin: "400px" },
);
for (const element of document.querySelectorAll("[data-live]")) near.observe(element);
