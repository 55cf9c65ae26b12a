// The picture of what was heard: sound, scores, votes and alerts over time, to zoom and move in.

import {BANDS} from "./engine.js";
import {shortScore} from "./text.js";
import {FRAMES_PER_SECOND, HOP, WINDOW, endOf, onsetOf, raisedOf} from "./track.js";

const OVERVIEW = 40;
const SOUND = 128, SCORE = 96, VOTES = 22, AXIS = 22, GAP = 8;
const HEIGHT = SOUND + GAP + SCORE + VOTES + AXIS;
const SCORE_TOP = SOUND + GAP;
const SHORTEST = 5; // seconds to be seen
const LIVE_SPAN = 60;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const TICKS = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99];
const LOGIT_RANGE = [-9, 6];

// Scores are drawn by their logit: most are crowded at 0 and 1.
export const logitOf = (share) => Math.log(share / (1 - share));
const height = (share) => {
  const [low, high] = LOGIT_RANGE;
  return Math.min(1, Math.max(0, (logitOf(Math.min(Math.max(share, 1e-9), 1 - 1e-9)) - low) / (high - low)));
};

export class Timeline {
  // clock: seconds to text; highest: score
  constructor({view, overview, tip, highest, clock, moved}) {
    Object.assign(this, {view, overview, tip, highest, clock, moved});
    this.track = null;
    this.decisions = null;
    this.waiting = false;
    this.reset();
    view.style.height = `${HEIGHT}px`;
    overview.style.height = `${OVERVIEW}px`;
    this.listen();
    new ResizeObserver(() => this.redraw()).observe(view);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    this.recolour();
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    const names = ["ink", "muted", "grid", "page", "cry", "alarm", "score", "quiet-sound", "middle-sound", "loud-sound"];
    this.colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    const stops = ["quiet-sound", "middle-sound", "loud-sound"].map((name) => rgb(this.colours[name]));
    this.palette = Array.from({length: 256}, (_, i) => mixed(stops, i / 255));
    this.redraw();
  }

  get length() {
    return this.track ? this.track.seconds : 0;
  }

  get total() {
    return Math.max(this.length, this.least);
  }

  show(track, decisions) {
    this.track = track;
    this.decisions = decisions;
    if (this.following) {
      const span = this.end - this.start;
      this.end = Math.max(this.length, span);
      this.start = this.end - span;
    }
    this.redraw();
  }

  reset() {
    this.least = LIVE_SPAN;
    this.start = 0;
    this.end = LIVE_SPAN;
    this.following = true;
  }

  // So many seconds will be heard: see all of them.
  expect(seconds) {
    this.least = Math.max(seconds, SHORTEST);
    this.start = 0;
    this.end = this.least;
    this.following = false;
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  // See from one second to another.
  look(start, end) {
    const span = Math.min(Math.max(end - start, SHORTEST), this.total), middle = (start + end) / 2;
    this.start = Math.min(Math.max(0, middle - span / 2), this.total - span);
    this.end = this.start + span;
    this.following = this.end >= this.length && this.least === LIVE_SPAN;
    this.redraw();
  }

  all() {
    this.look(0, this.total);
  }

  latest() {
    const span = this.end - this.start;
    this.look(this.length - span, this.length);
    this.following = true;
  }

  zoom(factor, around = (this.start + this.end) / 2) {
    const span = Math.min(Math.max((this.end - this.start) * factor, SHORTEST), this.total);
    const share = (around - this.start) / (this.end - this.start);
    this.look(around - share * span, around + (1 - share) * span);
  }

  move(share) {
    const by = share * (this.end - this.start);
    this.look(this.start + by, this.end + by);
  }

  draw() {
    const [pen, width] = prepared(this.view, HEIGHT);
    const x = (t) => ((t - this.start) / (this.end - this.start)) * width;
    this.drawSound(pen, width);
    this.drawAxes(pen, width, x);
    if (this.decisions) {
      this.drawAlerts(pen, x);
      this.drawScores(pen, width, x);
      this.drawVotes(pen, x);
    }
    this.drawOverview();
    this.moved();
  }

  drawSound(pen, width) {
    pen.fillStyle = this.colours["quiet-sound"];
    pen.fillRect(0, 0, width, SOUND);
    if (!this.track) return;
    const image = new ImageData(Math.max(1, Math.round(width)), BANDS);
    const into = new Int8Array(BANDS), perPixel = ((this.end - this.start) * FRAMES_PER_SECOND) / image.width;
    for (let i = 0; i < image.width; i++) {
      const from = this.start * FRAMES_PER_SECOND + i * perPixel;
      this.track.loudest(Math.floor(from), Math.max(Math.floor(from) + 1, Math.floor(from + perPixel)), into);
      for (let band = 0; band < BANDS; band++) {
        image.data.set(this.palette[into[band] + 128], 4 * ((BANDS - 1 - band) * image.width + i));
      }
    }
    const canvas = new OffscreenCanvas(image.width, BANDS);
    canvas.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(canvas, 0, 0, width, SOUND);
  }

  drawAxes(pen, width, x) {
    const span = this.end - this.start, step = STEPS.find((s) => (s / span) * width >= 80) ?? 14400;
    pen.textAlign = "center";
    for (let t = Math.ceil(this.start / step) * step; t <= this.end; t += step) {
      pen.fillStyle = this.colours.grid;
      pen.fillRect(Math.round(x(t)), SCORE_TOP, 1, HEIGHT - AXIS - SCORE_TOP);
      pen.fillStyle = this.colours.muted;
      if (x(t) > 26 && x(t) < width - 26) pen.fillText(this.clock(t), x(t), HEIGHT - AXIS / 2);
    }
    pen.textAlign = "left";
    for (const tick of TICKS) {
      const y = SCORE_TOP + SCORE * (1 - height(tick));
      pen.fillStyle = this.colours.grid;
      pen.fillRect(0, Math.round(y), width, 1);
      pen.fillStyle = this.colours.muted;
      pen.fillText(String(tick * this.highest), 4, y - 6);
    }
  }

  drawAlerts(pen, x) {
    const {alerts, windows} = this.decisions;
    for (const alert of alerts) {
      const end = endOf(alert, windows);
      if (end < this.start || onsetOf(alert) > this.end) continue;
      const left = x(onsetOf(alert)), raised = x(raisedOf(alert)), right = Math.max(x(end), raised + 2);
      pen.fillStyle = this.colours.alarm;
      pen.globalAlpha = 0.14;
      pen.fillRect(left, SCORE_TOP, right - left, SCORE);
      pen.globalAlpha = 1;
      pen.fillRect(left, SCORE_TOP + SCORE + 13, raised - left, 2);
      pen.fillRect(raised, SCORE_TOP + SCORE + 10, right - raised, 8);
    }
  }

  // The range of indices of windows that are seen.
  seen() {
    const middle = WINDOW / 2, last = this.decisions.windows - 1;
    return [
      Math.max(0, Math.floor((this.start - middle) / HOP) - 1),
      Math.min(last, Math.ceil((this.end - middle) / HOP) + 1),
    ];
  }

  drawScores(pen, width, x) {
    const {scores} = this.track, [first, last] = this.seen();
    const y = (score) => SCORE_TOP + SCORE * (1 - height(score / this.highest));
    const threshold = y(this.decisions.threshold);
    pen.strokeStyle = this.colours.ink;
    pen.setLineDash([4, 3]);
    stroke(pen, [[0, threshold], [width, threshold]]);
    pen.setLineDash([]);
    pen.strokeStyle = this.colours.score;
    pen.lineWidth = 1.5;
    for (const points of lines(scores, first, last, x, y)) stroke(pen, points);
    pen.lineWidth = 1;
  }

  drawVotes(pen, x) {
    const {scores} = this.track, [first, last] = this.seen();
    pen.fillStyle = this.colours.score;
    for (let i = first; i <= last; i++) {
      if (scores[i] >= this.decisions.threshold) {
        pen.fillRect(x(i * HOP), SCORE_TOP + SCORE + 2, Math.max(1, x((i + 1) * HOP) - x(i * HOP) - 0.5), 5);
      }
    }
  }

  drawOverview() {
    const [pen, width] = prepared(this.overview, OVERVIEW), {total} = this;
    if (this.decisions) {
      this.drawPeaks(pen, width);
      pen.fillStyle = this.colours.alarm;
      for (const alert of this.decisions.alerts) {
        const left = (onsetOf(alert) / total) * width, right = (endOf(alert, this.decisions.windows) / total) * width;
        pen.fillRect(left, OVERVIEW - 8, Math.max(2, right - left), 8);
      }
    }
    const left = (this.start / total) * width, right = Math.max(left + 3, (this.end / total) * width);
    pen.fillStyle = this.colours.ink;
    pen.globalAlpha = 0.1;
    pen.fillRect(left, 0, right - left, OVERVIEW);
    pen.globalAlpha = 1;
    pen.strokeStyle = this.colours.ink;
    pen.strokeRect(left + 0.5, 0.5, right - left - 1, OVERVIEW - 1);
  }

  drawPeaks(pen, width) {
    const {scores} = this.track, peaks = new Float32Array(Math.ceil(width));
    const pixel = (i) => Math.min(peaks.length - 1, Math.floor(((i * HOP) / this.total) * width));
    for (let i = 0; i < scores.length; i++) {
      for (let at = pixel(i); at <= pixel(i + 1); at++) if (scores[i] > peaks[at]) peaks[at] = scores[i];
    }
    pen.fillStyle = this.colours.score;
    peaks.forEach((peak, at) => {
      const tall = peak ? height(peak / this.highest) * (OVERVIEW - 10) : 0;
      pen.fillRect(at, OVERVIEW - 10 - tall, 1, tall);
    });
  }

  timeAt(canvas, event, from, to) {
    const edge = canvas.getBoundingClientRect();
    return from + ((event.clientX - edge.left) / edge.width) * (to - from);
  }

  explain(event) {
    const t = this.timeAt(this.view, event, this.start, this.end);
    const lines = [this.clock(t, 1)];
    const score = this.track?.scores[Math.round((t - WINDOW / 2) / HOP)];
    if (score !== undefined) lines.push(Number.isNaN(score) ? "no sound" : `score ${shortScore(score)}`);
    this.tip.textContent = lines.join(", ");
    this.tip.hidden = false;
    const edge = this.tip.getBoundingClientRect();
    this.tip.style.left = `${Math.min(event.clientX + 14, innerWidth - edge.width - 8)}px`;
    this.tip.style.top = `${Math.min(event.clientY + 14, innerHeight - edge.height - 8)}px`;
  }

  listen() {
    const {view, overview, tip} = this;
    let held = null;
    view.addEventListener("pointerdown", (event) => {
      held = {x: event.clientX, start: this.start, end: this.end};
      view.setPointerCapture(event.pointerId);
      tip.hidden = true;
    });
    view.addEventListener("pointermove", (event) => {
      if (!held) return this.explain(event);
      const by = ((held.x - event.clientX) / view.clientWidth) * (held.end - held.start);
      return this.look(held.start + by, held.end + by);
    });
    for (const kind of ["pointerup", "pointercancel"]) view.addEventListener(kind, () => { held = null; });
    view.addEventListener("pointerleave", () => { tip.hidden = true; });
    view.addEventListener("wheel", (event) => this.turn(event), {passive: false});
    view.addEventListener("keydown", (event) => this.press(event));
    const there = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const t = this.timeAt(overview, event, 0, this.total), half = (this.end - this.start) / 2;
      this.look(t - half, t + half);
    };
    for (const kind of ["pointerdown", "pointermove"]) overview.addEventListener(kind, there);
  }

  turn(event) {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.move(event.deltaX / this.view.clientWidth);
    else this.zoom(Math.exp(event.deltaY * 0.002), this.timeAt(this.view, event, this.start, this.end));
  }

  press(event) {
    const actions = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2),
      0: () => this.all(), l: () => this.latest(),
      ArrowLeft: () => this.move(-0.25), ArrowRight: () => this.move(0.25),
      Home: () => this.look(0, this.end - this.start), End: () => this.latest(),
    };
    if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }
}

// A line through the highest and lowest score of each pixel; another after every gap.
function* lines(scores, first, last, x, y) {
  let points = [], column = null, low = 0, high = 0;
  const flush = () => { if (column !== null) points.push([column, y(high)], [column, y(low)]); };
  for (let i = first; i <= last; i++) {
    const score = scores[i], at = Math.round(x(i * HOP + WINDOW / 2));
    if (Number.isNaN(score)) {
      flush();
      if (points.length) yield points;
      points = [];
      column = null;
    } else if (at === column) {
      low = Math.min(low, score);
      high = Math.max(high, score);
    } else {
      flush();
      column = at;
      low = high = score;
    }
  }
  flush();
  if (points.length) yield points;
}

function stroke(pen, points) {
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
}

function prepared(canvas, tall) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(tall * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  return [pen, width];
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function mixed(stops, share) {
  const at = share * (stops.length - 1), below = Math.min(Math.floor(at), stops.length - 2);
  return [...stops[below].map((c, i) => Math.round(c + (at - below) * (stops[below + 1][i] - c))), 255];
}
