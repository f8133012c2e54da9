// Means, spreads and Welch's interval: the formulas of cifar_lib.evaluate, with which a test compares them.

/** @param {number[]} values */
export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The sample variance (division by n − 1), which is NaN for a single value.
 * @param {number[]} values
 */
export function variance(values) {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}

/** @param {number[]} values */
export function spread(values) {
  return Math.sqrt(variance(values));
}

/**
 * By how much the mean of one side exceeds the other's, with Welch's 95 % interval: see
 * cifar_lib.evaluate.welch_interval. The limits are NaN where a side has a single value.
 * @param {number[]} first
 * @param {number[]} second
 * @returns {{ difference: number, low: number, high: number }}
 */
export function welch(first, second) {
  const difference = mean(first) - mean(second);
  const one = variance(first) / first.length;
  const other = variance(second) / second.length;
  if (one + other === 0) return { difference, low: difference, high: difference };
  const freedom = (one + other) ** 2 / (one ** 2 / (first.length - 1) + other ** 2 / (second.length - 1));
  const half = tQuantile(freedom) * Math.sqrt(one + other);
  return { difference, low: difference - half, high: difference + half };
}

/**
 * The 97.5 % quantile of Student's t distribution, by Newton's method on its upper tail.
 * @param {number} freedom  degrees of freedom, at least 1
 */
export function tQuantile(freedom) {
  if (!(freedom >= 1)) return NaN;
  const scale = Math.exp(logGamma((freedom + 1) / 2) - logGamma(freedom / 2)) / Math.sqrt(freedom * Math.PI);
  let t = 1.96; // below the root, where the tail is convex: the steps rise to it and never pass it
  for (let step = 0; step < 100; step++) {
    const tail = incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
    const density = scale * (1 + (t * t) / freedom) ** (-(freedom + 1) / 2);
    const change = (tail - 0.025) / density;
    t += change;
    if (Math.abs(change) < 1e-12 * t) break;
  }
  return t;
}

/**
 * The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.
 * Source: Press et al., "Numerical Recipes", section 6.4.
 * @param {number} x  0 to 1
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
export function incompleteBeta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a); // the fraction converges quickly there
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  );
  let c = 1;
  let d = 1 / (1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d);
    c = 1 + even / c;
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d);
    c = 1 + odd / c;
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return (front * fraction) / a;
}

/**
 * The logarithm of the gamma function, by Lanczos's approximation with g = 7.
 * @param {number} x  more than 0
 */
function logGamma(x) {
  const terms = [
    676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
    -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  const base = x + 6.5;
  const sum = terms.reduce((total, term, i) => total + term / (x + i), 0.99999999999980993);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(base) - base + Math.log(sum);
}
