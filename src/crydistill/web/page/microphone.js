// The microphone, as the room sounds: without what makes speech on the telephone better.

const WANTED = {
  echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1,
};

export class Microphone {
  // tapUrl: the code of the audio thread; port: where its samples go; lost: called if it is taken away
  static async open(tapUrl, lost) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("This browser gives no microphone to this page. Open it from a file or over https.");
    }
    const microphone = new Microphone();
    microphone.stream = await navigator.mediaDevices.getUserMedia({audio: WANTED}).catch(explain);
    const [track] = microphone.stream.getAudioTracks();
    track.addEventListener("ended", lost);
    // Some browsers connect a stream only to a context of its own rate.
    const {sampleRate} = track.getSettings();
    microphone.context = new AudioContext(sampleRate ? {sampleRate} : {});
    await microphone.context.audioWorklet.addModule(tapUrl);
    await microphone.context.resume();
    return microphone;
  }

  get rate() {
    return Math.round(this.context.sampleRate);
  }

  // Send samples to a port from now on.
  sendTo(port) {
    const source = this.context.createMediaStreamSource(this.stream);
    const tap = new AudioWorkletNode(this.context, "tap");
    tap.port.postMessage(port, [port]);
    // Its output is silence, but some browsers run only what leads to the loudspeaker.
    source.connect(tap).connect(this.context.destination);
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}

function explain(error) {
  const reasons = {
    NotAllowedError: "The microphone is not allowed for this page. Allow it in the browser's settings and try again.",
    NotFoundError: "No microphone was found. Connect one and try again.",
    NotReadableError: "The microphone is used by another program. Close that and try again.",
  };
  throw new Error(reasons[error.name] ?? error.message);
}
