// The threshold for a wanted rate of false alarms, from scores of a room without crying: the twin of
// crydistill.detector.calibrate, which explains and justifies it. Thresholds are the same; intervals of
// an extrapolated rate come from another generator of random numbers.

import {AlertLevels} from "./levels.js";
import {TAILS, gammaQuantile, poissonInterval, quantile, randomGamma, randomNumbers} from "./statistics.js";
import {HOP, onsetOf} from "./track.js";

const HOURS_PER_NIGHT = 8;
const RULE_OF_THREE = 3;
const MARGIN = 0.05;
const MAX_PEAKS = 30, MIN_PEAKS = 5;
const MAX_BLOCKS = 20, MIN_BLOCK_SECONDS = 60;
const OUT_OF_REACH = 0.95, REACH = 0.99;
const LOUDEST = 5;
const REPLICATES = 1000;
const EPSILON = 2 ** -23; // of single precision

// The next larger number in single precision.
function after(value) {
  const number = new Float32Array([value]), bits = new Int32Array(number.buffer);
  bits[0] += 1;
  return number[0];
}

function logit(score, highest) {
  const share = Math.min(Math.max(score / highest, EPSILON), 1 - EPSILON);
  return Math.log(share / (1 - share));
}

const scoreOf = (value, highest) => highest / (1 + Math.exp(-value));
const perNight = (count, hours) => (count / hours) * HOURS_PER_NIGHT;
const short = (number) => Number(number.toPrecision(2)).toString();

class Room {
  // alertsOf: the alerts of the scores with given settings
  constructor(scores, settings, {highest, reachable}, alertsOf) {
    this.scores = scores;
    this.settings = settings;
    this.highest = highest;
    this.alertsOf = alertsOf;
    this.cap = Math.fround(REACH * Math.min(highest, reachable));
    this.heard = scores.reduce((count, score) => count + !Number.isNaN(score), 0);
    this.hours = (this.heard * HOP) / 3600;
    const hold = Math.max(1, Math.ceil(Math.round(settings.hold_seconds * 1000) / (HOP * 1000)));
    this.levels = new AlertLevels(scores, settings, hold);
  }

  // The highest vote statistic of each alert at a threshold.
  peaksAbove(threshold) {
    return this.alertsOf({...this.settings, threshold}).map((alert) => ({
      recording: 0,
      seconds: Number(onsetOf(alert).toFixed(2)),
      level: this.levels.statistic.subarray(alert.raised, alert.ended).reduce((a, b) => Math.max(a, b)),
    }));
  }

  rateAt(threshold) {
    const number = this.levels.count(threshold);
    return this.range(number, poissonInterval(number));
  }

  range(number, [low, high]) {
    return {value: perNight(number, this.hours), low: perNight(low, this.hours), high: perNight(high, this.hours)};
  }

  // Cap a threshold and describe it.
  result(threshold, method, {wanted, expected, range = null, warnings = []}) {
    const capped = threshold > this.cap;
    const used = Math.max(0, Math.min(threshold, this.cap));
    const [lowest] = this.levels.levelOf(LOUDEST);
    const loudest = this.peaksAbove(lowest).sort((a, b) => b.level - a.level).slice(0, LOUDEST);
    return {
      vote: {...this.settings, threshold: used},
      method,
      wanted_per_night: wanted,
      expected_per_night: expected,
      threshold_range: range && range.map((end) => Math.min(end, this.cap)),
      hours: this.hours,
      alerts: this.levels.count(used),
      loudest,
      capped,
      warnings: [...tooShort(this.hours, wanted), ...warnings, ...outOfReach(used, this.highest, capped)],
    };
  }
}

// The contents of `calibration` in a settings file.
export function calibrate(scores, settings, wanted, limits, alertsOf) {
  if (!(wanted > 0 && wanted < Infinity)) throw new Error("False alarms per night must be a number above 0; for one a month choose 0.03.");
  const room = new Room(scores, settings, limits, alertsOf);
  if (!room.levels.upto.length) {
    throw new Error(`Only ${room.heard} windows were heard, too few for a vote of ${settings.n} among ${settings.m}. Listen for ten minutes at least.`);
  }
  const alerts = (wanted * room.hours) / HOURS_PER_NIGHT;
  return alerts >= 1 ? counted(room, Math.floor(alerts), wanted) : extrapolated(room, alerts, wanted);
}

function counted(room, alerts, wanted) {
  const [level, number] = room.levels.levelOf(alerts);
  const threshold = after(level);
  const warnings = number < alerts ? [
    `The recording never raises more than ${number} alerts, at any threshold: there will be fewer than you allow.`,
  ] : [];
  const chosen = room.range(number, TAILS.map((tail) => gammaQuantile(number, tail)));
  const [fewest, most] = poissonInterval(number);
  const range = [Math.ceil(most), Math.max(1, Math.floor(fewest))].map((count) => room.levels.levelOf(count)[0]);
  const expected = threshold > room.cap ? room.rateAt(room.cap) : chosen;
  return room.result(threshold, "counted", {wanted, expected, range, warnings});
}

function maxMargin(room, wanted, warnings) {
  const threshold = Math.fround(room.levels.highest + Math.fround(MARGIN));
  const expected = room.rateAt(Math.min(threshold, room.cap));
  return room.result(threshold, "max-margin", {wanted, expected, warnings});
}

// Peaks above a level, in logits, with the block of the bootstrap that each is in; null if there are too few.
function tailOf(room) {
  const [, most] = room.levels.levelOf(Infinity);
  const [top] = room.levels.levelOf(Math.min(MAX_PEAKS, Math.max(MIN_PEAKS, Math.floor(most / 2))));
  // A student with memory gives most sounds next to nothing. Such scores differ and have one logit,
  // the lowest: with them among the peaks, the tail would fall off far too fast.
  const toldApart = room.levels.upto.find((upto) => upto > EPSILON * room.highest);
  if (toldApart === undefined) return null;
  const level = Math.max(top, toldApart);
  const peaks = room.peaksAbove(level);
  const logits = peaks.map((peak) => logit(peak.level, room.highest));
  if (new Set(logits).size < MIN_PEAKS) return null;
  const base = logit(level, room.highest), length = room.scores.length * HOP;
  const blocks = Math.floor(Math.min(Math.max(length / MIN_BLOCK_SECONDS, 1), MAX_BLOCKS));
  const excess = logits.map((one) => one - base);
  const sum = excess.reduce((a, b) => a + b);
  return {
    base, blocks, excess,
    block: peaks.map((peak) => Math.min(Math.floor((peak.seconds / length) * blocks), blocks - 1)),
    number: peaks.length,
    mean: sum / (peaks.length - 1), // the lowest peak is the level itself
  };
}

// Number and mean excess of the peaks in resamples of the blocks, and those of the peaks themselves.
function* resampled(tail, random) {
  yield [tail.number, tail.mean];
  for (let replicate = 0; replicate < REPLICATES; replicate++) {
    const drawn = new Array(tail.blocks).fill(0);
    for (let i = 0; i < tail.blocks; i++) drawn[Math.floor(random() * tail.blocks)]++;
    let number = 0, sum = 0;
    tail.block.forEach((block, i) => {
      number += drawn[block];
      sum += drawn[block] * tail.excess[i];
    });
    const total = (sum * tail.number) / (tail.number - 1);
    if (number && total > 0) yield [number, total / randomGamma(number, random)];
  }
}

function extrapolated(room, wantedAlerts, wanted) {
  const tail = tailOf(room);
  if (!tail) {
    return maxMargin(room, wanted, [
      `Fewer than ${MIN_PEAKS} different peaks were heard, too few to extrapolate from: took the highest vote plus ${MARGIN}. Listen longer, with the room's usual sounds.`,
    ]);
  }
  const thresholdFor = (number, mean) => scoreOf(tail.base + mean * Math.log(number / wantedAlerts), room.highest);
  const threshold = Math.max(after(room.levels.highest), Math.fround(thresholdFor(tail.number, tail.mean)));
  const at = logit(Math.min(threshold, room.cap), room.highest);
  const draws = [...resampled(tail, randomNumbers(0))];
  const expected = draws.map(([number, mean]) => number * Math.exp(-(at - tail.base) / mean));
  const others = draws.map(([number, mean]) => thresholdFor(number, mean));
  return room.result(threshold, "tail", {
    wanted,
    expected: room.range(expected[0], TAILS.map((share) => quantile(expected, share))),
    range: TAILS.map((share) => quantile(others, share)),
  });
}

function tooShort(hours, wanted) {
  const limit = perNight(RULE_OF_THREE, hours);
  if (limit <= wanted) return [];
  const needed = (RULE_OF_THREE * HOURS_PER_NIGHT) / wanted;
  return [
    `${short(hours)} h cannot promise ${short(wanted)} false alarms per night: without a single one it would rule out no less than ${limit.toFixed(limit >= 10 ? 0 : 1)}. Listen for ${short(needed)} h to be sure.`,
  ];
}

function outOfReach(threshold, highest, capped) {
  if (capped) {
    return [
      `This room asks for a threshold that no cry reaches. It was capped at ${threshold.toFixed(3)}, which only loud, clear crying reaches, and false alarms may be more than you allow: find out what is heard at the times listed, or put the microphone nearer to the cot.`,
    ];
  }
  if (threshold < OUT_OF_REACH * highest) return [];
  return [
    `Few cries reach a threshold of ${threshold.toFixed(3)}: check it on a recording of one, listen longer, or allow more false alarms.`,
  ];
}
