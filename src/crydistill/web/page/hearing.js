// From samples at any rate to scores and frames, in batches for the page.

import {BANDS, HOP_FRAMES} from "./engine.js";
import {RATE, Resampler, toPcm} from "./resample.js";

const PATIENCE = 10; // seconds of one value, after which there is no sound
const LONGEST_STALL = 1; // seconds between blocks that are no gap

export class Hearing {
  // tell: takes what was heard
  constructor(engine, rate, tell) {
    this.engine = engine;
    this.rate = rate;
    this.tell = tell;
    this.resampler = new Resampler(rate);
    this.windows = 0;
    this.frame = 0; // the next one; window i begins with frame 48 i
    this.forget();
    engine.onFrame = (steps) => this.frames.push(Int8Array.from(steps));
    engine.onWindow = (score) => this.scores.push(score);
    engine.start();
  }

  forget() {
    this.frames = [];
    this.scores = [];
  }

  push(samples) {
    this.engine.push(toPcm(this.resampler.push(samples)));
    this.report({level: levelOf(samples), seconds: samples.length / this.rate, sound: true});
  }

  // Sound of so many seconds is missing: no window spans it, and a student with memory forgets.
  gap(seconds) {
    this.resampler = new Resampler(this.rate);
    this.engine.gap(Math.round(seconds * RATE));
    this.report({level: -Infinity, seconds, sound: false});
    this.frame = this.windows * HOP_FRAMES;
  }

  finish() {
    this.engine.push(toPcm(this.resampler.finish()));
    this.report({level: -Infinity, seconds: 0, sound: true});
  }

  report(now) {
    const frames = new Int8Array(this.frames.length * BANDS);
    this.frames.forEach((steps, i) => frames.set(steps, i * BANDS));
    this.tell({...now, frame: this.frame, frames, scores: Float32Array.from(this.scores)});
    this.frame += this.frames.length;
    this.windows += this.scores.length;
    this.forget();
  }
}

// Tells sound from none in what arrives live: from a microphone that is muted, or a device that slept.
export class Watch {
  constructor(hearing) {
    this.hearing = hearing;
    this.value = null;
    this.still = 0; // samples of this value
    this.last = null; // when the last block arrived, in ms
  }

  push(samples, time) {
    const expected = (samples.length / this.hearing.rate) * 1000;
    const missed = this.last === null ? 0 : (time - this.last - expected) / 1000;
    this.last = time;
    if (missed > LONGEST_STALL) this.hearing.gap(missed);
    this.count(samples);
    if (this.still < PATIENCE * this.hearing.rate) this.hearing.push(samples);
    else this.hearing.gap(samples.length / this.hearing.rate);
  }

  count(samples) {
    for (const sample of samples) {
      if (sample !== this.value) {
        this.value = sample;
        this.still = 0;
      }
      this.still++;
    }
  }
}

function levelOf(samples) {
  let power = 0;
  for (const x of samples) power += x * x;
  return samples.length ? 10 * Math.log10(power / samples.length) : -Infinity;
}
