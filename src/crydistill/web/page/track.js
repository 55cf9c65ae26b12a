// What was heard, and what the vote makes of it: scores, alerts, and the sound as a picture.

import {BANDS, HOP_FRAMES, Vote} from "./engine.js";

export const HOP = 0.48; // seconds from window to window
export const WINDOW = 0.975;
export const FRAMES_PER_SECOND = 100;
const CHUNK = 6000; // frames: a minute
const CHUNKS_KEPT = 30;
const NOTHING = -128;

class Growing {
  constructor(Kind) {
    this.values = new Kind(1024);
    this.length = 0;
  }

  reserve(length) {
    if (length > this.values.length) {
      const grown = new this.values.constructor(Math.max(length, 2 * this.values.length));
      grown.set(this.values.subarray(0, this.length));
      this.values = grown;
    }
    this.length = Math.max(this.length, length);
  }

  push(value) {
    this.reserve(this.length + 1);
    this.values[this.length - 1] = value;
  }
}

export class Track {
  constructor() {
    this.kept = new Growing(Float32Array);
    this.columns = new Growing(Int8Array); // the loudest of the bands in each 0.48 s
    this.chunks = new Map(); // of the last half hour, every frame
    this.seconds = 0;
  }

  get scores() {
    return this.kept.values.subarray(0, this.kept.length);
  }

  add({seconds, frame, frames, scores}) {
    this.seconds += seconds;
    for (let i = 0; i < frames.length / BANDS; i++) {
      this.keep(frame + i, frames.subarray(i * BANDS, (i + 1) * BANDS));
    }
    for (const score of scores) this.kept.push(score);
  }

  keep(number, steps) {
    const chunk = Math.floor(number / CHUNK);
    if (!this.chunks.has(chunk)) {
      this.chunks.set(chunk, new Int8Array(CHUNK * BANDS).fill(NOTHING));
      this.chunks.delete(chunk - CHUNKS_KEPT);
    }
    this.chunks.get(chunk).set(steps, (number % CHUNK) * BANDS);
    const column = Math.floor(number / HOP_FRAMES) * BANDS, known = this.columns.length;
    this.columns.reserve(column + BANDS);
    if (column + BANDS > known) this.columns.values.fill(NOTHING, known, column + BANDS);
    for (let band = 0; band < BANDS; band++) {
      if (steps[band] > this.columns.values[column + band]) this.columns.values[column + band] = steps[band];
    }
  }

  // The loudest of each band from one frame to another, into `into`; frames that are not kept any more
  // are those of their 0.48 s.
  loudest(from, to, into) {
    into.fill(NOTHING);
    for (let number = Math.max(0, from); number < to; number++) {
      const chunk = this.chunks.get(Math.floor(number / CHUNK));
      if (chunk && to - from < HOP_FRAMES) {
        raise(into, chunk, (number % CHUNK) * BANDS);
      } else {
        raise(into, this.columns.values, Math.floor(number / HOP_FRAMES) * BANDS, this.columns.length);
        number += HOP_FRAMES - 1 - (number % HOP_FRAMES);
      }
    }
  }
}

function raise(into, values, at, end = values.length) {
  if (at + into.length > end) return;
  for (let band = 0; band < into.length; band++) {
    if (values[at + band] > into[band]) into[band] = values[at + band];
  }
}

// The alerts of scores, as they arrive or all anew: {onset, raised, ended} in windows, `ended`
// undefined while the alert is on.
export class Decisions {
  constructor(engine, settings, scores = []) {
    this.settings = settings;
    this.vote = new Vote(engine, settings);
    this.threshold = Math.fround(settings.threshold);
    this.alerts = [];
    this.recent = [];
    this.windows = 0;
    for (const score of scores) this.push(score);
  }

  get on() {
    const last = this.alerts.at(-1);
    return last !== undefined && last.ended === undefined;
  }

  get votes() {
    return this.recent.filter((score) => score >= this.threshold).length;
  }

  push(score) {
    const event = this.vote.push(score);
    this.recent.push(score);
    if (this.recent.length > this.settings.m) this.recent.shift();
    if (event === "on") this.alerts.push({onset: this.vote.onset, raised: this.windows});
    if (event === "off") this.alerts.at(-1).ended = this.windows;
    this.windows++;
  }
}

// In seconds from the start.
export const onsetOf = (alert) => alert.onset * HOP;
export const raisedOf = (alert) => alert.raised * HOP + WINDOW;
export const endOf = (alert, windows) =>
  (alert.ended === undefined ? windows - 1 : alert.ended) * HOP + WINDOW;

export function peakOf(alert, scores) {
  let peak = 0;
  for (let i = alert.onset; i < (alert.ended ?? scores.length); i++) if (scores[i] > peak) peak = scores[i];
  return peak;
}
