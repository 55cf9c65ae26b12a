// The thread that listens: it has the library, and hears a microphone or a file.

import {Engine} from "./engine.js";
import {Hearing, Watch} from "./hearing.js";
import {isWave, pieces, readHeader} from "./wave.js";

const DECODED_PIECE = 1 << 19;

let opened = null;
let current = 0; // number of the source that is heard; an earlier one stops

const tellOf = (turn) => (heard) => {
  postMessage({kind: "heard", turn, ...heard}, [heard.frames.buffer, heard.scores.buffer]);
};
const pause = () => new Promise((resolve) => setTimeout(resolve));

function hearLive(engine, {turn, rate, port}) {
  const watch = new Watch(new Hearing(engine, rate, tellOf(turn)));
  port.onmessage = ({data}) => {
    if (turn === current) watch.push(data.samples, data.time);
    else port.close();
  };
}

async function hearPieces(engine, turn, rate, source) {
  const hearing = new Hearing(engine, rate, tellOf(turn));
  for await (const samples of source) {
    // Messages, such as one that stops this, come between two pieces.
    await pause();
    if (turn !== current) return;
    hearing.push(samples);
  }
  hearing.finish();
  postMessage({kind: "done", turn});
}

async function hearWave(engine, {turn, file}) {
  const header = await readHeader(file);
  postMessage({kind: "length", turn, seconds: header.bytes / header.bytesPerFrame / header.rate});
  await hearPieces(engine, turn, header.rate, pieces(file, header));
}

async function* parts({samples}) {
  for (let at = 0; at < samples.length; at += DECODED_PIECE) {
    yield samples.subarray(at, at + DECODED_PIECE);
  }
}

async function hearFile(engine, data) {
  if (await isWave(data.file)) await hearWave(engine, data);
  else postMessage({kind: "decode", turn: data.turn});
}

const HANDLERS = {
  open: async (_, {library, image}) => {
    opened = WebAssembly.compile(library).then((module) => Engine.open(module, image));
    await opened;
  },
  live: hearLive,
  file: hearFile,
  decoded: (engine, data) => hearPieces(engine, data.turn, data.rate, parts(data)),
  stop: () => {},
};

addEventListener("message", async ({data}) => {
  current = data.turn;
  try {
    await HANDLERS[data.kind](await opened, data);
  } catch (error) {
    postMessage({kind: "failed", turn: data.turn, why: error.message});
  }
});
