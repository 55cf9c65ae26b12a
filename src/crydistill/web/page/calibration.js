// Calibration in the page: from what was heard, the threshold for the wanted rate of false alarms.

import {calibrate} from "./calibrate.js";
import {Decisions, HOP, endOf, onsetOf} from "./track.js";
import {byId, count, download, element, threeDigits} from "./text.js";

const ADVISED_MINUTES = 10;

export class Calibration {
  // engine: of its own, for votes besides those that are shown; page: what it is asked and told
  constructor(engine, student, page) {
    Object.assign(this, {engine, student, page, found: null});
    byId("calibrate").addEventListener("click", () => this.run());
    byId("save").addEventListener("click", () => download("room.json", this.file()));
  }

  alerts(scores, settings) {
    return new Decisions(this.engine, settings, scores).alerts;
  }

  // Windows that sound like crying, and the hold time around them, do not count.
  without(scores, found, settings) {
    const hold = Math.ceil(settings.hold_seconds / HOP), kept = scores.slice();
    for (const alert of found) {
      kept.fill(NaN, Math.max(0, alert.onset - hold), (alert.ended ?? kept.length) + hold);
    }
    return kept;
  }

  run() {
    this.found = null;
    byId("save").disabled = true;
    const scores = this.page.scores().slice(), base = this.student.presets[this.student.preset];
    const crying = this.alerts(scores, base), choice = byId("crying").value;
    byId("crying-row").hidden = !crying.length;
    if (crying.length && choice === "ask") return this.ask(crying);
    try {
      this.found = calibrate(
        choice === "skip" ? this.without(scores, crying, base) : scores,
        {...this.page.settings(), threshold: 0}, Number(byId("rate").value), this.student,
        (settings) => this.alerts(choice === "skip" ? this.without(scores, crying, base) : scores, settings),
      );
    } catch (error) {
      return this.say(element("p", {className: "warning", textContent: error.message}));
    }
    byId("save").disabled = false;
    this.page.use(this.found.vote);
    return this.describe(this.found);
  }

  ask(crying) {
    const where = crying.map((alert) => [onsetOf(alert), endOf(alert, this.page.scores().length)]);
    this.say(
      element("p", {className: "warning", textContent: `${count(crying.length, "time")} this sounds like crying. Go there, choose above what it was, and calibrate again.`}),
      this.places(where.map(([from, to]) => [from, to, ""])),
    );
    byId("crying").focus();
  }

  describe(found) {
    const {value, low, high} = found.expected_per_night;
    const rate = found.method === "max-margin" ? `up to ${threeDigits(high)} per night cannot be ruled out`
      : `expect ${threeDigits(value)} false alarms per night (95 % interval ${threeDigits(low)} to ${threeDigits(high)})`;
    const minutes = Math.round(found.hours * 60);
    this.say(
      element("p", {textContent: `Threshold ${threeDigits(found.vote.threshold)} from ${count(minutes, "minute")} (${found.method}): ${rate}. It is in use now.`}),
      ...found.warnings.map((textContent) => element("p", {className: "warning", textContent})),
      element("p", {textContent: "The loudest of it, for the detector:"}),
      this.places(found.loudest.map((peak) => [peak.seconds, peak.seconds + 2, threeDigits(peak.level)])),
    );
  }

  places(list) {
    return element("p", {className: "places"}, ...list.map(([from, to, what]) => {
      const button = element("button", {type: "button", textContent: `${this.page.clock(from)} ${what}`.trim()});
      button.addEventListener("click", () => this.page.go(from, to));
      return button;
    }));
  }

  say(...children) {
    byId("calibrated").replaceChildren(...children);
  }

  heard(seconds) {
    const minutes = Math.floor(seconds / 60);
    byId("calibrate").disabled = !seconds;
    byId("enough").textContent = seconds ? `${count(minutes, "minute")} heard so far${minutes < ADVISED_MINUTES ? `; ${ADVISED_MINUTES} are the least that make sense, hours are better` : ""}.` : "";
  }

  // What `crydistill detect --settings` reads.
  file() {
    const {name, sha256, version} = this.student;
    return {format_version: 1, student: name, student_sha256: sha256, calibration: this.found, cries: null, package_version: version};
  }
}
