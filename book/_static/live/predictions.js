// The reader's answers, kept in their browser and nowhere else. Where a browser keeps nothing (some private windows),
// they live as long as the page.

/**
 * @typedef {{ answer: (number | null)[], shown: boolean, on?: string }} Prediction
 *   `answer` has a value per epoch or per bar, or a guess and the ends of its range; `shown`: the reader has seen what was
 *   recorded, and since then the answer stays; `on` is that day
 */

const KEY = "cifar10-by-experiment.predictions.v1";

/** @type {Record<string, Prediction>} */
let memory = {};
let kept = true;

try {
  localStorage.setItem(`${KEY}.try`, "1");
  localStorage.removeItem(`${KEY}.try`);
} catch {
  kept = false;
}

/** Whether the answers outlive the page. */
export const areKept = () => kept;

/** @returns {Record<string, Prediction>} by the id of the question */
export function all() {
  if (!kept) return memory;
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return found !== null && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {}; // something else wrote there: the next answer replaces it
  }
}

/** @param {string} id @param {Prediction} prediction */
export function keep(id, prediction) {
  const everything = { ...all(), [id]: prediction };
  try {
    if (kept) localStorage.setItem(KEY, JSON.stringify(everything));
  } catch {
    kept = false; // full, or forbidden since
  }
  memory = everything;
}

export function forgetAll() {
  memory = {};
  try {
    localStorage.removeItem(KEY);
  } catch {
    kept = false;
  }
}
