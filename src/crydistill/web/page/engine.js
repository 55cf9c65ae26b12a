// The C library in WebAssembly with one student: samples in, frames and windows out.

const ALIGNMENT = 16;
const PAGE = 65536;
const EVENTS = ["", "on", "off"];
export const BANDS = 64;
export const HOP_FRAMES = 48; // from window to window

const aligned = (at) => Math.ceil(at / ALIGNMENT) * ALIGNMENT;

export class Engine {
  // module: the compiled library; image: the student as data
  static async open(module, image) {
    const engine = new Engine();
    const {exports} = await WebAssembly.instantiate(module, {
      page: {
        frame: (steps) => engine.onFrame(engine.bytes(steps, BANDS)),
        window: (score) => engine.onWindow(score),
      },
    });
    engine.library = exports;
    engine.load(image);
    return engine;
  }

  constructor() {
    this.onFrame = () => {};
    this.onWindow = () => {};
  }

  load(image) {
    const {memory, __heap_base: heap, load, samples, capacity} = this.library;
    const at = aligned(heap.value);
    this.grow(at + image.length);
    new Uint8Array(memory.buffer).set(image, at);
    const arenaBytes = load(at);
    if (!arenaBytes) throw new Error("student and library are of different versions; export again");
    this.arena = aligned(at + image.length);
    this.grow(this.arena + arenaBytes);
    this.capacity = capacity();
    this.samples = samples();
  }

  grow(bytes) {
    const {memory} = this.library;
    const missing = bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  }

  bytes(at, length) {
    return new Int8Array(this.library.memory.buffer, at, length);
  }

  // What the library says is wrong, as an error.
  check(text) {
    if (text) throw new Error(this.text(text));
  }

  text(at) {
    const bytes = new Uint8Array(this.library.memory.buffer, at);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  // With nothing heard.
  start() {
    this.check(this.library.start(this.arena));
  }

  // Samples at 16 kHz, 16 bits, any number of them.
  push(pcm) {
    for (let at = 0; at < pcm.length; at += this.capacity) {
      const piece = pcm.subarray(at, at + this.capacity);
      new Int16Array(this.library.memory.buffer, this.samples, piece.length).set(piece);
      this.check(this.library.push(piece.length));
    }
  }

  // So many samples were lost.
  gap(samples) {
    this.check(this.library.gap(samples));
  }

  // "passed", or what failed; start again afterwards.
  selftest() {
    this.start();
    return this.text(this.library.selftest());
  }
}

// The library's vote on scores that are kept.
export class Vote {
  constructor(engine, {threshold, n, m, hold_seconds}) {
    this.library = engine.library;
    engine.check(this.library.vote_start(threshold, n, m, Math.round(hold_seconds * 1000)));
  }

  push(score) {
    return EVENTS[this.library.vote(score)];
  }

  get onset() {
    return this.library.vote_onset();
  }
}
