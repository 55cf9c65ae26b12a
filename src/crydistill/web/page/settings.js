// The detector's settings: presets, a settings file, or each by hand.

import {byId, element, threeDigits} from "./text.js";
import {logitOf} from "./timeline.js";

const OWN = "own";

export class Settings {
  // student: presets and limits; changed: called with every change
  constructor(student, changed) {
    this.student = student;
    this.changed = changed;
    this.presets = {...student.presets};
    for (const name of Object.keys(this.presets)) this.offer(name);
    byId("preset").append(element("option", {value: OWN, textContent: "own", hidden: true}));
    byId("preset").addEventListener("change", () => this.choose(byId("preset").value));
    byId("threshold").addEventListener("change", () => this.edit({threshold: Number(byId("threshold").value)}));
    byId("slider").addEventListener("input", () => this.edit({threshold: this.slid()}));
    byId("n").addEventListener("change", () => this.edit({n: Number(byId("n").value)}));
    byId("m").addEventListener("change", () => this.edit({m: Number(byId("m").value)}));
    byId("hold").addEventListener("change", () => this.edit({hold_seconds: Number(byId("hold").value)}));
    byId("load").addEventListener("change", () => this.load());
    this.choose(student.preset);
  }

  offer(name) {
    byId("preset").prepend(element("option", {value: name, textContent: name}));
  }

  choose(name) {
    this.use(this.presets[name], name);
  }

  // Settings that were calibrated become a preset of their own.
  calibrated(vote, name = "calibrated") {
    if (!(name in this.presets)) this.offer(name);
    this.presets[name] = vote;
    this.choose(name);
  }

  // What the library refuses stays in its field, to be mended.
  use(value, name) {
    try {
      this.changed(value);
    } catch (error) {
      byId("refused").textContent = error.message;
      return;
    }
    this.value = value;
    byId("refused").textContent = "";
    byId("preset").value = name;
    byId("threshold").value = threeDigits(value.threshold);
    byId("slider").value = logitOf(Math.min(Math.max(value.threshold / this.student.highest, 1e-4), 0.9999));
    byId("slider").setAttribute("aria-valuetext", threeDigits(value.threshold));
    byId("n").value = value.n;
    byId("m").value = value.m;
    byId("hold").value = value.hold_seconds;
  }

  slid() {
    return Number(threeDigits(this.student.highest / (1 + Math.exp(-Number(byId("slider").value)))));
  }

  edit(change) {
    this.use({...this.value, ...change}, OWN);
  }

  // A file by `crydistill calibrate`, or by this page.
  async load() {
    const [file] = byId("load").files;
    byId("load").value = "";
    try {
      const found = JSON.parse(await file.text());
      const {threshold, n, m, hold_seconds} = found.calibration.vote;
      if (found.student_sha256 !== this.student.sha256) {
        throw new Error(`it was calibrated for the student ${found.student}, not for this one`);
      }
      this.calibrated({threshold, n, m, hold_seconds}, file.name);
    } catch (error) {
      byId("refused").textContent = `${file.name} is not used: ${error.message}`;
    }
  }
}
