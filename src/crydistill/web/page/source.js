// Where the sound comes from: the thread that listens, fed by the microphone or by a file.

import {Microphone} from "./microphone.js";
import {RATE} from "./resample.js";

const MOST_BYTES = 512 * 2 ** 20; // of a file that has to be decoded as a whole

const urlOf = (id) => "data:text/javascript," + encodeURIComponent(document.getElementById(id).textContent);

export class Source {
  // handlers: heard, length, done, failed
  constructor(library, image, handlers) {
    this.handlers = handlers;
    this.microphone = null;
    this.file = null;
    this.turn = 0; // what is said of an earlier source comes too late
    // From a file, browsers take neither a module's address nor a blob's in all places.
    this.worker = new Worker(urlOf("worker"));
    this.worker.addEventListener("message", ({data}) => this.take(data));
    this.send({kind: "open", library, image});
  }

  send(message, transferred = []) {
    this.turn++;
    this.worker.postMessage({...message, turn: this.turn}, transferred);
  }

  take(data) {
    if (data.turn !== this.turn) return;
    if (data.kind === "decode") this.decode().catch(({message}) => this.handlers.failed({why: message}));
    else this.handlers[data.kind](data);
  }

  async listen() {
    this.stop();
    const lost = () => this.handlers.failed({why: "The microphone was taken away."});
    this.microphone = await Microphone.open(urlOf("tap"), lost);
    const {port1, port2} = new MessageChannel();
    this.send({kind: "live", rate: this.microphone.rate, port: port1}, [port1]);
    this.microphone.sendTo(port2);
  }

  open(file) {
    this.stop();
    this.file = file;
    this.send({kind: "file", file});
  }

  // Everything but WAV: the browser decodes it, whole, to 16 kHz.
  async decode() {
    const {file} = this;
    if (file.size > MOST_BYTES) throw new Error("This file is too large to decode here: make a WAV of it, or use `crydistill detect`.");
    const bytes = await file.arrayBuffer();
    const decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes).catch(() => {
      throw new Error(`${file.name} has no sound that this browser can decode.`);
    });
    if (file !== this.file) return;
    this.handlers.length({seconds: decoded.duration});
    const samples = mean(decoded);
    this.send({kind: "decoded", samples, rate: RATE}, [samples.buffer]);
  }

  stop() {
    this.microphone?.close();
    this.microphone = null;
    this.file = null;
    this.send({kind: "stop"});
  }
}

function mean(decoded) {
  const samples = new Float32Array(decoded.length);
  for (let c = 0; c < decoded.numberOfChannels; c++) {
    const channel = decoded.getChannelData(c);
    for (let i = 0; i < samples.length; i++) samples[i] += channel[i] / decoded.numberOfChannels;
  }
  return samples;
}
