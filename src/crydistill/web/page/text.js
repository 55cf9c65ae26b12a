// Times and numbers as text.

const two = (number) => String(number).padStart(2, "0");

// Seconds from the start as h:mm:ss.
export function elapsed(seconds, digits = 0) {
  const whole = Math.max(0, Number(seconds.toFixed(digits)));
  const last = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${last}`;
}

// The time of day of a moment that many seconds after the start.
export function timeOfDay(start, seconds) {
  const date = new Date(start + 1000 * seconds);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const count = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;

// A threshold or score with three digits that say something.
export const threeDigits = (number) => Number(number.toPrecision(3)).toString();

// A score as it is watched: the smallest are as good as none.
export const shortScore = (score) => (score < 0.001 ? "under 0.001" : threeDigits(score));

export function byId(id) {
  return document.getElementById(id);
}

// An element with text and children.
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function download(name, content) {
  const text = `${JSON.stringify(content, null, 2)}\n`;
  const url = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  element("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
