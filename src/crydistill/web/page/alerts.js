// The list of alerts, and what they come to.

import {endOf, onsetOf, peakOf, raisedOf} from "./track.js";
import {byId, duration, element, threeDigits} from "./text.js";

export class AlertList {
  // go: called with an alert's start and end
  constructor(clock, go) {
    this.clock = clock;
    this.go = go;
    this.rows = [];
    this.current = -1;
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    addEventListener("keydown", (event) => this.press(event));
  }

  // All anew: the settings or the sound have changed.
  reset() {
    this.rows = [];
    this.current = -1;
    byId("alerts").replaceChildren();
  }

  show(track, decisions) {
    const {alerts, windows} = decisions;
    // Only the last row can have changed.
    alerts.forEach((alert, i) => {
      if (i < this.rows.length - 1) return;
      const end = endOf(alert, windows);
      if (!this.rows[i]) this.add(i);
      const row = this.rows[i];
      row.from = onsetOf(alert);
      row.to = end;
      row.button.textContent = `${this.clock(row.from)} – ${alert.ended === undefined ? "still on" : this.clock(end)}`;
      row.about.textContent = `${duration(end - row.from)}, highest score ${threeDigits(peakOf(alert, track.scores))}, alert at ${this.clock(raisedOf(alert))}`;
    });
    byId("summary").textContent = summary(track, decisions, this.clock);
    byId("previous").disabled = byId("next").disabled = !alerts.length;
  }

  add(number) {
    const button = element("button", {type: "button"}), about = element("span", {className: "about"});
    button.addEventListener("click", () => this.visit(number));
    byId("alerts").append(element("li", {}, button, about));
    this.rows[number] = {button, about};
  }

  visit(number) {
    this.current = number;
    const {from, to} = this.rows[number];
    this.go(from, to);
  }

  step(by) {
    if (!this.rows.length) return;
    const first = by > 0 ? 0 : this.rows.length - 1;
    const next = this.current < 0 ? first : this.current + by;
    this.visit((next + this.rows.length) % this.rows.length);
  }

  press(event) {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "n") this.step(1);
    if (event.key === "p") this.step(-1);
  }
}

function summary(track, {alerts, windows}, clock) {
  if (!track.seconds) return "";
  const heard = `${duration(track.seconds)} heard`;
  if (!alerts.length) return `${heard}, no alert.`;
  const total = alerts.reduce((sum, alert) => sum + endOf(alert, windows) - onsetOf(alert), 0);
  const first = clock(onsetOf(alerts[0])), last = clock(onsetOf(alerts.at(-1)));
  if (alerts.length === 1) return `${heard}, one alert of ${duration(total)} at ${first}.`;
  return `${heard}, ${alerts.length} alerts of ${duration(total)} together, from ${first} to ${last}.`;
}
