// Exact intervals of counts, and random numbers for a bootstrap.

// Logarithm of the gamma function. Source: Lanczos's approximation, g = 7, as in Godfrey (2001).
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
];

function logGamma(x) {
  const z = x - 1, t = z + 7.5;
  const sum = LANCZOS.reduce((total, c, i) => total + (i ? c / (z + i) : c), 0);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

// Regularised lower incomplete gamma function. Source: Press et al., "Numerical Recipes", 6.2: a
// series below the mean, a continued fraction above it.
export function gammaP(a, x) {
  if (x <= 0) return 0;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a, sum = term;
    for (let k = a + 1; term > sum * 1e-16; k++) {
      term *= x / k;
      sum += term;
    }
    return sum * scale;
  }
  let b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d;
  for (let k = 1, step = 0; k < 10000 && Math.abs(step - 1) > 1e-15; k++) {
    b += 2;
    d = 1 / (k * (a - k) * d + b);
    c = b + (k * (a - k)) / c;
    step = c * d;
    fraction *= step;
  }
  return 1 - fraction * scale;
}

// Where gammaP is p, by bisection.
export function gammaQuantile(a, p) {
  let low = 0, high = a + 10 * Math.sqrt(a) + 10;
  while (high - low > 1e-13 * high) {
    const middle = (low + high) / 2;
    if (gammaP(a, middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

export const TAILS = [0.025, 0.975];

// Exact 95 % interval of the mean of a count. Source: Garwood (1936).
export function poissonInterval(count) {
  return [count ? gammaQuantile(count, TAILS[0]) : 0, gammaQuantile(count + 1, TAILS[1])];
}

// Between the values, as NumPy's default.
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1), below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

// Uniform numbers of 0 to 1, the same for the same seed: Marsaglia's xorshift of 32 bits.
export function randomNumbers(seed) {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

// A number from the gamma distribution of shape a >= 1. Source: Marsaglia and Tsang (2000).
export function randomGamma(a, random) {
  const d = a - 1 / 3, c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random), v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
