// The browser's speech recognition, if it has one.

const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;

export const canListen = Boolean(Recognition);

export class Listener {
  constructor({ onStart, onInterim, onFinal, onState, onError }) {
    this.on = { onStart, onInterim, onFinal, onState, onError };
    this.active = false;
  }

  toggle() {
    if (this.active) this.stop();
    else this.start();
  }

  start() {
    const recognition = (this.recognition = new Recognition());
    recognition.continuous = true;
    recognition.interimResults = true;
    recognition.lang = navigator.language;
    recognition.onspeechstart = () => this.on.onStart();
    recognition.onresult = (event) => this.take(event);
    recognition.onerror = (event) => {
      if (event.error !== "no-speech" && event.error !== "aborted") this.fail(event.error);
    };
    recognition.onend = () => (this.active ? recognition.start() : this.on.onState(false));
    recognition.start();
    this.active = true;
    this.on.onState(true);
  }

  take(event) {
    let interim = "";
    for (const result of Array.from(event.results).slice(event.resultIndex)) {
      if (result.isFinal) this.on.onFinal(result[0].transcript.trim());
      else interim += result[0].transcript;
    }
    this.on.onInterim(interim);
  }

  fail(reason) {
    this.stop();
    const known = { "not-allowed": "The browser did not allow the microphone.", network: "This browser's speech recognition needs the internet." };
    this.on.onError(known[reason] || `Speech recognition failed: ${reason}.`);
  }

  stop() {
    this.active = false;
    this.recognition?.stop();
    this.on.onState(false);
  }
}
