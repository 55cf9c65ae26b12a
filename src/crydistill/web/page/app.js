// The page: what it has is put together here.

import {AlertList} from "./alerts.js";
import {Calibration} from "./calibration.js";
import {Engine} from "./engine.js";
import {Settings} from "./settings.js";
import {Source} from "./source.js";
import {Timeline} from "./timeline.js";
import {Decisions, Track, endOf, onsetOf, raisedOf} from "./track.js";
import {byId, count, download, elapsed, shortScore, timeOfDay} from "./text.js";

const LEAD = 1; // seconds before a place, to hear it coming
const LOUDNESS_FLOOR = -70; // dB

const data = JSON.parse(byId("data").textContent);
const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const library = bytesOf(data.library), image = bytesOf(data.image);
const {student} = data;

let track = new Track();
let decisions = null;
let started = null; // time of day at which listening began, in ms
let expected = 0; // seconds of the file that is read
let listening = false;

const clock = (seconds, digits = 0) =>
  (started === null ? elapsed(seconds, digits) : timeOfDay(started, seconds));

function say(text, kind = "") {
  byId("status").textContent = text;
  byId("status").className = kind;
}

async function selfTest(engine) {
  const result = engine.selftest();
  byId("selftest").textContent = `self-test ${result}`;
  byId("selftest").className = result === "passed" ? "good" : "bad";
}

const module = await WebAssembly.compile(library);
const engine = await Engine.open(module, image);
await selfTest(engine);

const source = new Source(library, image, {
  heard: (heard) => {
    track.add(heard);
    for (const score of heard.scores) decisions.push(score);
    if (source.microphone) say(heard.sound ? "Listening." : "No sound arrives: is the microphone muted?", heard.sound ? "" : "warning");
    else if (expected) say(`Reading: ${Math.min(100, Math.round((100 * track.seconds) / expected))} %.`);
    meter(heard);
    show();
  },
  length: ({seconds}) => {
    expected = seconds;
    timeline.expect(seconds);
  },
  done: () => {
    const {name} = source.file;
    stop();
    say(`${name}: ${elapsed(track.seconds)} read.`);
  },
  failed: ({why}) => {
    stop();
    say(why, "warning");
  },
});

const timeline = new Timeline({
  view: byId("view"), overview: byId("overview"), tip: byId("tip"), highest: student.highest, clock,
  moved: () => {
    byId("range").textContent = `${clock(timeline.start)} – ${clock(timeline.end)}`;
    byId("latest").hidden = timeline.following || !source.microphone;
  },
});

function go(from, to) {
  timeline.look(from - 10, Math.min(to, from + 60) + 10);
  byId("view").scrollIntoView({block: "nearest"});
  const player = byId("player");
  if (!player.hidden) player.currentTime = Math.max(0, from - LEAD);
}

const alertList = new AlertList(clock, go);
const calibration = new Calibration(await Engine.open(module, image), student, {
  scores: () => track.scores,
  settings: () => settings.value,
  use: (vote) => settings.calibrated(vote),
  go,
  clock,
});

function meter({level}) {
  const share = Math.min(1, Math.max(0, 1 - level / LOUDNESS_FLOOR));
  byId("level").value = share;
  byId("level-text").textContent = Number.isFinite(level) ? `${Math.round(level)} dB` : "–";
}

// What a screen reader says, too: only where it changes.
function announce(state, text) {
  if (byId("alert").textContent === text) return;
  byId("alert").dataset.state = state;
  byId("alert").textContent = text;
}

function show() {
  if (!decisions) return;
  const score = track.scores.at(-1), {votes, on} = decisions, {n, m} = decisions.settings;
  const known = score !== undefined && !Number.isNaN(score);
  byId("score").value = known ? score / student.highest : 0;
  byId("score-text").textContent = known ? shortScore(score) : "–";
  byId("votes").max = m;
  byId("votes").value = votes;
  byId("votes-text").textContent = `${votes} of ${m}, alert at ${n}`;
  const heard = track.seconds > 0;
  if (!heard) announce("idle", "not listening");
  else if (listening) announce(on ? "crying" : "quiet", on ? "crying" : "quiet");
  else announce(decisions.alerts.length ? "crying" : "quiet", count(decisions.alerts.length, "alert"));
  byId("results").disabled = !heard;
  alertList.show(track, decisions);
  calibration.heard(track.seconds);
  timeline.show(track, decisions);
}

function clear() {
  track = new Track();
  timeline.reset();
  settings.changed(settings.value);
  byId("calibrated").replaceChildren();
}

function player(file) {
  const audio = byId("player");
  if (audio.src) URL.revokeObjectURL(audio.src);
  audio.hidden = !file;
  if (file) audio.src = URL.createObjectURL(file);
  else audio.removeAttribute("src");
}

function stop() {
  source.stop();
  listening = false;
  wakeLock(false);
  show();
  byId("listen").hidden = false;
  byId("stop").hidden = true;
  say("");
}

function begin(live) {
  started = live ? Date.now() : null;
  expected = 0;
  listening = true;
  clear();
  byId("listen").hidden = true;
  byId("stop").hidden = false;
}

async function listen() {
  try {
    say("Waiting for the microphone.");
    await source.listen();
    player(null);
    begin(true);
    wakeLock(true);
  } catch (error) {
    stop();
    say(error.message, "warning");
  }
}

function open(file) {
  if (!file) return;
  begin(false);
  player(file);
  say("Reading.");
  source.open(file);
}

// A phone that listens stays awake, if it lets the page say so.
let lock = null;
async function wakeLock(wanted) {
  await lock?.release();
  lock = wanted ? await navigator.wakeLock?.request("screen").catch(() => null) : null;
}

function results() {
  const {alerts, windows} = decisions;
  download("scores.json", {
    student: {name: student.name, sha256: student.sha256},
    settings: settings.value,
    started: started === null ? null : new Date(started).toISOString(),
    seconds: track.seconds,
    alerts: alerts.map((alert) => ({
      onset_s: onsetOf(alert), raised_s: raisedOf(alert),
      ended_s: alert.ended === undefined ? null : endOf(alert, windows),
    })),
    scores: Array.from(track.scores), // null: no sound
  });
}

const settings = new Settings(student, (value) => {
  decisions = new Decisions(engine, value, track.scores);
  alertList.reset();
  show();
});

byId("listen").addEventListener("click", listen);
byId("stop").addEventListener("click", () => {
  stop();
  say("Stopped.");
});
byId("file").addEventListener("change", () => {
  open(byId("file").files[0]);
  byId("file").value = "";
});
byId("results").addEventListener("click", results);
byId("in").addEventListener("click", () => timeline.zoom(0.5));
byId("out").addEventListener("click", () => timeline.zoom(2));
byId("all").addEventListener("click", () => timeline.all());
byId("latest").addEventListener("click", () => timeline.latest());
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  open(event.dataTransfer.files[0]);
});
byId("main").removeAttribute("aria-busy");
