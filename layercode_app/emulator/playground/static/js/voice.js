// The browser's own voice, for a server without a speech program. It has the methods of a Player.

const synthesis = window.speechSynthesis;
const CHARACTERS_PER_SECOND = 15;
const SENTENCE = /[^.!?\u2026\n]+[.!?\u2026\n]+["'\u201d\u2019)\]]*\s+/y;

// `wanted`: the server has no voice, so the browser should speak. `found`: the browser has a voice.
export const browserVoice = { wanted: false, found: false };

export function usesBrowserVoice() {
  return browserVoice.wanted && browserVoice.found;
}

// Browsers load their voices asynchronously.
export function findVoices(onFound) {
  const look = () => {
    browserVoice.found = Boolean(synthesis?.getVoices().length);
    if (browserVoice.found) onFound();
  };
  synthesis?.addEventListener?.("voiceschanged", look);
  look();
}

// Say a text. `done` is called once, even if the browser fails or never reports the end.
function utter(text, { muted = false, onWord = () => {}, done }) {
  const one = new SpeechSynthesisUtterance(text);
  let open = true;
  const finish = () => { if (open) { open = false; clearTimeout(timer); done(); } };
  const timer = setTimeout(finish, 3000 + (3000 * text.length) / CHARACTERS_PER_SECOND);
  Object.assign(one, { volume: muted ? 0 : 1, lang: navigator.language, onend: finish, onerror: finish });
  one.onboundary = (event) => onWord(event.charIndex);
  synthesis.speak(one);
  return { one, cancel: () => { open = false; clearTimeout(timer); synthesis.cancel(); } };
}

export class BrowserVoice {
  constructor(onPlayed) {
    this.onPlayed = onPlayed;
    this.turn = null;
    this.muted = false;
  }

  async unlock() {
    synthesis.cancel();
  }

  // A browser cannot change the volume of a sentence that it is speaking, so the sentence is cancelled.
  setMuted(muted) {
    this.muted = muted;
    if (!this.turn?.speaking) return;
    this.turn.speaking.cancel();
    this.finished(this.turn);
  }

  // The server's audio is silence.
  play() {}

  text(turnId, piece) {
    if (this.turn?.id !== turnId) this.begin(turnId);
    this.turn.rest += piece;
    for (;;) {
      SENTENCE.lastIndex = 0;
      const found = SENTENCE.exec(this.turn.rest);
      if (!found) break;
      this.turn.queue.push(found[0]);
      this.turn.rest = this.turn.rest.slice(found[0].length);
    }
    this.next();
  }

  begin(turnId) {
    this.stop();
    this.turn = { id: turnId, rest: "", queue: [], speaking: null, spoken: 0, at: 0, ended: false, told: false };
  }

  end(turnId) {
    const { turn } = this;
    if (turn?.id !== turnId) return;
    turn.ended = true;
    if (turn.rest) turn.queue.push(turn.rest);
    turn.rest = "";
    this.next();
  }

  next() {
    const { turn } = this;
    if (!turn || turn.speaking) return;
    if (turn.queue.length) return this.say(turn, turn.queue.shift());
    if (!turn.ended || turn.told) return;
    turn.told = true;
    this.onPlayed(turn.id);
  }

  say(turn, sentence) {
    turn.sentence = sentence;
    turn.began = performance.now();
    turn.speaking = utter(sentence, { muted: this.muted, onWord: (at) => { turn.at = turn.spoken + at; }, done: () => this.finished(turn) });
  }

  finished(turn) {
    turn.speaking = null;
    turn.spoken += turn.sentence.length;
    turn.at = turn.spoken;
    if (this.turn === turn) this.next();
  }

  stop() {
    const { turn } = this;
    this.turn = null;
    turn?.speaking?.cancel();
  }

  playing(turnId) {
    return this.turn?.id === turnId && Boolean(this.turn.speaking);
  }

  // Whether some words of this turn have not been spoken yet.
  unfinished(turnId) {
    return this.turn?.id === turnId && !this.turn.told;
  }

  // Not every voice reports its words. Without reports, the share is estimated from the time.
  share(turnId, text) {
    const { turn } = this;
    if (turn?.id !== turnId || !text) return 0;
    const guess = turn.speaking ? turn.spoken + Math.min(((performance.now() - turn.began) / 1000) * CHARACTERS_PER_SECOND, turn.sentence.length) : 0;
    return (turn.at > turn.spoken ? turn.at : Math.max(turn.at, guess)) / text.length;
  }

  remaining(turnId) {
    if (this.turn?.id !== turnId) return 0;
    const left = [this.turn.sentence || "", ...this.turn.queue].join("").length;
    return (3 * left) / CHARACTERS_PER_SECOND + 3;
  }
}

// Say a text outside of a call. A second click stops it.
let heard = null;
export function sayAloud(text, onState) {
  const before = heard;
  heard = null;
  before?.stop();
  if (before?.onState === onState) return;
  const mine = { onState, stop: () => { speaking.cancel(); onState(false); } };
  const speaking = utter(text, { done: () => { if (heard === mine) heard = null; onState(false); } });
  heard = mine;
  onState(true);
}
