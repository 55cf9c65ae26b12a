// The alerts of scores at every threshold: the twin of crydistill.detector.levels, which explains it.

// The n-th largest of the last m scores, -Infinity where there are fewer.
export function voteStatistic(scores, {n, m}) {
  const result = new Float32Array(scores.length);
  for (let i = 0; i < scores.length; i++) {
    const last = scores.slice(Math.max(0, i - m + 1), i + 1).filter((score) => !Number.isNaN(score));
    result[i] = last.length < n ? -Infinity : last.sort()[last.length - n];
  }
  return result;
}

// The highest of the last so many scores.
function highestOfLast(scores, count) {
  const result = new Float32Array(scores.length), rivals = [];
  for (let i = 0, head = 0; i < scores.length; i++) {
    const score = Number.isNaN(scores[i]) ? -Infinity : scores[i];
    while (rivals.length > head && rivals.at(-1)[1] <= score) rivals.pop();
    rivals.push([i, score]);
    if (rivals[head][0] <= i - count) head++;
    result[i] = rivals[head][1];
  }
  return result;
}

export class AlertLevels {
  constructor(scores, settings, holdWindows) {
    this.statistic = voteStatistic(scores, settings);
    const highest = highestOfLast(scores, holdWindows);
    this.above = [];
    this.upto = [];
    let level = -Infinity;
    for (let i = 0; i < scores.length; i++) {
      if (level < this.statistic[i]) {
        this.above.push(level);
        this.upto.push(this.statistic[i]);
      }
      level = Math.min(Math.max(this.statistic[i], highest[i]), Math.max(this.statistic[i], level));
    }
    this.above.sort((a, b) => a - b);
    this.upto.sort((a, b) => a - b);
    this.falling();
  }

  get highest() {
    return this.upto.at(-1);
  }

  // Alerts at a threshold.
  count(threshold) {
    return below(this.above, threshold) - below(this.upto, threshold);
  }

  // Where the number of alerts can rise, from the top, and the most that there were until then.
  falling() {
    this.thresholds = [...new Set(this.upto)].reverse();
    let most = 0;
    this.reached = this.thresholds.map((threshold) => (most = Math.max(most, this.count(threshold))));
  }

  // The highest level at which there are so many alerts, and how many there are; if there never are,
  // that of the largest number.
  levelOf(alerts) {
    const wanted = Math.min(alerts, this.reached.at(-1));
    const index = below(this.reached, wanted);
    return [this.thresholds[index], wanted];
  }
}

// How many of sorted numbers are less than a value.
function below(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
