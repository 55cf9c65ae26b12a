// From the device's rate to 16 kHz, by a polyphase low-pass filter: a sinc in a Kaiser window.
//
// Flat to 7.5 kHz, where the log-mel's last band ends; what lies above 8.5 kHz, and would be heard
// below 7.5 kHz, is 90 dB down. It delays nothing: output j is the sound at j / 16,000 seconds. The
// same samples give the same result, however they are divided into blocks.
//
// Source: Oppenheim and Schafer, "Discrete-Time Signal Processing", 7.5.3 (Kaiser's window).

export const RATE = 16000;
const FULL_SCALE = 32768;
const ATTENUATION = 90; // dB
const BETA = 0.1102 * (ATTENUATION - 8.7);
const HALF_TRANSITION = 1 / 16; // of the lower rate's half

const gcd = (a, b) => (b ? gcd(b, a % b) : a);

// Modified Bessel function of order 0, by its series.
function bessel(x) {
  let term = 1, sum = 1;
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

export class Resampler {
  constructor(rate) {
    const common = gcd(RATE, rate);
    this.up = RATE / common;
    this.down = rate / common;
    const edge = Math.min(RATE, rate) / 2 / rate; // in cycles per sample
    const transition = 2 * Math.PI * 2 * HALF_TRANSITION * edge;
    this.half = Math.ceil((ATTENUATION - 8) / (2.285 * transition) / 2);
    this.phases = new Array(this.up);
    this.edge = edge;
    this.waiting = new Float32Array(this.half); // silence before the first sample
    this.first = -this.half; // which sample the first of those that wait is
    this.next = 0; // output
    this.taken = 0;
  }

  // Weights of the samples around an output, which lies phase / up after one of them.
  taps(phase) {
    if (!this.phases[phase]) {
      const taps = Float64Array.from({length: 2 * this.half}, (_, i) => {
        const distance = i + 1 - this.half - phase / this.up;
        const inside = Math.max(0, 1 - (distance / this.half) ** 2);
        return sinc(2 * this.edge * distance) * bessel(BETA * Math.sqrt(inside));
      });
      const sum = taps.reduce((a, b) => a + b);
      this.phases[phase] = taps.map((tap) => tap / sum);
    }
    return this.phases[phase];
  }

  // The next samples; returns those at 16 kHz that they complete.
  push(samples) {
    this.taken += samples.length;
    if (this.up === this.down) return samples;
    const all = new Float32Array(this.waiting.length + samples.length);
    all.set(this.waiting);
    all.set(samples, this.waiting.length);
    const result = [];
    for (; ; this.next++) {
      const before = Math.floor((this.next * this.down) / this.up);
      const from = before + 1 - this.half - this.first;
      if (from + 2 * this.half > all.length) {
        const used = Math.min(Math.max(0, from), all.length);
        this.first += used;
        this.waiting = all.slice(used);
        return Float32Array.from(result);
      }
      const taps = this.taps((this.next * this.down) % this.up);
      let sum = 0;
      for (let i = 0; i < taps.length; i++) sum += taps[i] * all[from + i];
      result.push(sum);
    }
  }

  // The last of them, at the end of the samples.
  finish() {
    if (this.up === this.down) return new Float32Array(0);
    const left = Math.ceil((this.taken * this.up) / this.down) - this.next;
    return this.push(new Float32Array(this.half)).subarray(0, Math.max(0, left));
  }
}

// Samples of -1 to 1 in 16 bits.
export function toPcm(samples) {
  return Int16Array.from(samples, (x) =>
    Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(x * FULL_SCALE))));
}
