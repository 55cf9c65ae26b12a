// WAV files of any length, read piece by piece: integers of 8 to 32 bits and floating point.

const PIECE = 1 << 20;
const INTEGERS = 1, FLOATS = 3, EXTENSIBLE = 0xfffe;

const READERS = {
  "1/8": (view, at) => (view.getUint8(at) - 128) / 128,
  "1/16": (view, at) => view.getInt16(at, true) / 32768,
  "1/24": (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8388608,
  "1/32": (view, at) => view.getInt32(at, true) / 2147483648,
  "3/32": (view, at) => view.getFloat32(at, true),
  "3/64": (view, at) => view.getFloat64(at, true),
};

const viewOf = async (file, from, to) => new DataView(await file.slice(from, to).arrayBuffer());
const tag = (view, at) => String.fromCharCode(...new Uint8Array(view.buffer, at, 4));

export async function isWave(file) {
  const view = await viewOf(file, 0, 12);
  return view.byteLength === 12 && ["RIFF", "RF64"].includes(tag(view, 0)) && tag(view, 8) === "WAVE";
}

// Format of a WAV file, and where its samples are. A size of them that recorders leave at 0, or that
// is larger than the file, is the rest of the file.
export async function readHeader(file) {
  let format = null;
  for (let at = 12; at + 8 <= file.size; ) {
    const view = await viewOf(file, at, at + 48);
    const size = view.getUint32(4, true), from = at + 8;
    if (tag(view, 0) === "fmt ") format = formatOf(view);
    if (tag(view, 0) === "data") {
      if (!format) break;
      const left = file.size - from;
      return {...format, from, bytes: size && size <= left ? size : left};
    }
    at = from + size + (size % 2);
  }
  throw new Error("no sound was found in this WAV file: it is damaged or cut off");
}

function formatOf(view) {
  if (view.byteLength < 24) throw new Error("the header of this WAV file is cut off");
  const code = view.getUint16(8, true), bits = view.getUint16(22, true);
  const kind = code === EXTENSIBLE && view.byteLength >= 34 ? view.getUint16(32, true) : code;
  const reader = READERS[`${kind}/${bits}`];
  const channels = view.getUint16(10, true), rate = view.getUint32(12, true);
  if (!reader || channels < 1 || rate < 4000 || rate > 768000) {
    const name = {[INTEGERS]: "integers", [FLOATS]: "floating point"}[kind] ?? `encoding ${kind}`;
    throw new Error(`WAV with ${bits} bits (${name}), ${channels} channels, ${rate} Hz is not read here`);
  }
  return {reader, rate, channels, bytesPerFrame: (channels * bits) / 8};
}

// Pieces of the sound: its channels' mean, as Float32Array.
export async function* pieces(file, header) {
  const {reader, channels, bytesPerFrame, from, bytes} = header;
  const step = bytesPerFrame / channels, piece = PIECE - (PIECE % bytesPerFrame);
  for (let at = 0; at + bytesPerFrame <= bytes; at += piece) {
    const view = await viewOf(file, from + at, from + Math.min(at + piece, bytes));
    const samples = new Float32Array(Math.floor(view.byteLength / bytesPerFrame));
    for (let i = 0; i < samples.length; i++) {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += reader(view, i * bytesPerFrame + c * step);
      samples[i] = sum / channels;
    }
    yield samples;
  }
}
