// In the audio thread: passes what the microphone gives on to the thread that listens.

const BLOCK = 2048;

class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
    this.listener = null;
    this.port.onmessage = ({data}) => { this.listener = data; };
  }

  process([channels]) {
    if (!this.listener || !channels.length) return true;
    for (let i = 0; i < channels[0].length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === BLOCK) this.send();
    }
    return true;
  }

  send() {
    this.listener.postMessage({samples: this.block, time: Date.now()}, [this.block.buffer]);
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }
}

registerProcessor("tap", Tap);
