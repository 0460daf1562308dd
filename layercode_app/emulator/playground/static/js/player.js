// Play the 16 kHz PCM of a call without gaps, and track how much of a turn was played.

const RATE = 16000;
const SECONDS_PER_CHARACTER = 0.055;

export class Player {
  constructor(onPlayed) {
    this.onPlayed = onPlayed;
    this.turn = null;
    this.muted = false;
  }

  unlock() {
    this.context ||= new AudioContext({ sampleRate: RATE });
    this.gain ||= this.context.createGain();
    this.gain.connect(this.context.destination);
    this.setMuted(this.muted);
    return this.context.resume();
  }

  setMuted(muted) {
    this.muted = muted;
    if (this.gain) this.gain.gain.value = muted ? 0 : 1;
  }

  play(turnId, base64) {
    if (!this.context) return;
    if (this.turn?.id !== turnId) this.begin(turnId);
    const samples = decode(base64);
    const buffer = this.context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.gain);
    const at = Math.max(this.context.currentTime + 0.02, this.turn.until);
    source.start(at);
    this.turn.pieces.push({ at, seconds: buffer.duration });
    this.turn.until = at + buffer.duration;
    this.turn.sources.add(source);
    source.onended = () => {
      this.turn?.sources.delete(source);
      this.check();
    };
  }

  begin(turnId) {
    this.stop();
    this.turn = { id: turnId, until: 0, pieces: [], sources: new Set(), ended: false, told: false };
  }

  end(turnId) {
    if (this.turn?.id !== turnId) return;
    this.turn.ended = true;
    this.check();
  }

  check() {
    const turn = this.turn;
    if (!turn || !turn.ended || turn.told || turn.sources.size) return;
    turn.told = true;
    this.onPlayed(turn.id);
  }

  stop() {
    for (const source of this.turn?.sources || []) {
      source.onended = null;
      source.stop();
    }
    this.turn = null;
  }

  // Whether audio of this turn is playing now.
  playing(turnId) {
    return this.turn?.id === turnId && this.turn.sources.size > 0;
  }

  // The share of a turn's text that was played. The length of missing audio is estimated from the text.
  share(turnId, text) {
    if (this.turn?.id !== turnId || !this.context) return 0;
    const now = this.context.currentTime;
    const played = this.turn.pieces.reduce((sum, p) => sum + Math.min(Math.max(now - p.at, 0), p.seconds), 0);
    const known = this.turn.pieces.reduce((sum, p) => sum + p.seconds, 0);
    return played / Math.max(known, text.length * SECONDS_PER_CHARACTER);
  }

  // Seconds until the audio received so far has been played.
  remaining(turnId) {
    if (this.turn?.id !== turnId || !this.context) return 0;
    return Math.max(this.turn.until - this.context.currentTime, 0);
  }
}

function decode(base64) {
  return samplesOf(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);
}

function samplesOf(pcm) {
  const view = new DataView(pcm);
  return Float32Array.from({ length: pcm.byteLength >> 1 }, (_, i) => view.getInt16(2 * i, true) / 32768);
}

// Play one piece of speech outside of a call. A second click stops it.
let listening = null;
export async function listen(load, onState) {
  const before = listening;
  before?.stop();
  if (before?.onState === onState) return;
  const context = new AudioContext({ sampleRate: RATE });
  const mine = (listening = { onState, stop: () => { listening = null; onState(false); context.close(); } });
  onState(true);
  try {
    const samples = samplesOf(await load());
    if (listening !== mine) return;
    const buffer = context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(context.destination);
    source.onended = () => listening === mine && mine.stop();
    source.start();
  } catch (error) {
    mine.stop();
    throw error;
  }
}
