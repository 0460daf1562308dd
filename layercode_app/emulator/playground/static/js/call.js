// A live call: its client, its sound, and the data of its turns, which may be newer than the journal's.

import { api } from "./api.js";
import { PlatformClient } from "./client.js";
import { wordsUpTo } from "./format.js";

// A turn counts as played this long after its sound should have ended, for browsers that do not report the end.
const GRACE_MS = 2000;

export class Call extends EventTarget {
  // `sound(onPlayed)` creates the object that speaks: a Player or a BrowserVoice.
  constructor(agent, sound, client = new PlatformClient()) {
    super();
    this.agent = agent;
    this.turns = new Map();
    this.player = sound((turnId) => this.played(turnId));
    this.client = client;
    this.client.addEventListener("message", (event) => this.take(event.detail));
    this.client.addEventListener("closed", (event) => this.closed(event.detail));
  }

  async open(conversationId, metadata) {
    this.opening = true;
    try {
      const unlocked = this.player.unlock();
      const grant = await api.openSession({ agent: this.agent, conversation_id: conversationId || null, metadata });
      this.conversationId = grant.conversation_id;
      await Promise.race([unlocked, new Promise((done) => setTimeout(done, 300))]);
      if (this.left) return;
      await this.client.connect(grant.client_session_key);
      this.live = true;
    } finally {
      this.opening = false;
    }
    this.changed();
  }

  turn(id) {
    if (!this.turns.has(id)) this.turns.set(id, { id, user: "", text: "", data: [], heard: null, share: null, began: Date.now() / 1000 });
    return this.turns.get(id);
  }

  take(message) {
    const { type, turn_id: id, content } = message;
    const byAgent = message.role === "assistant";
    if (type === "user.transcript") this.turn(id.replace(/^user-/, "")).user = content;
    else if (type === "turn.start" && byAgent) this.turn(id);
    else if (type === "response.text") this.text(id, content);
    else if (type === "response.audio") this.player.play(id, content);
    else if (type === "response.data") this.turn(id).data.push(content);
    else if (type === "response.end") this.end(id);
    else if (type === "turn.end" && byAgent) this.cut(id);
    this.changed();
  }

  text(id, content) {
    // The record of a finished turn may arrive before its last words.
    if (!this.turn(id).settled) this.turn(id).text += content;
    this.player.text?.(id, content);
  }

  // The response is complete. A turn without sound is over now; any other turn is over when its sound has ended.
  end(id) {
    const turn = this.turn(id);
    turn.ended = true;
    this.player.end(id);
    if (!turn.over && !this.player.playing(id)) return this.played(id);
    setTimeout(() => this.played(id), 1000 * this.player.remaining(id) + GRACE_MS);
  }

  // The turn was played to its end. The page finds this out itself, without the live feed.
  played(id) {
    const turn = this.turn(id);
    if (turn.over) return;
    if (turn.share !== null) return this.cut(id);
    Object.assign(turn, { over: true, heard: turn.text });
    this.client.played(id);
    this.changed();
  }

  // The caller spoke over the turn. The emulator's record replaces the estimate of what was heard.
  cut(id) {
    this.halt();
    const turn = this.turns.get(id);
    if (turn && !turn.over) Object.assign(turn, { over: true, interrupted: true, heard: wordsUpTo(turn.text, turn.share ?? 0) });
  }

  // Take over the emulator's record of a finished turn, with the part that was heard.
  settle(item) {
    const turn = this.turns.get(item.turn_id);
    if (!turn) return;
    // The browser's own voice may need longer than the emulator assumes.
    const speaks = !item.interrupted && !turn.over && this.player.unfinished?.(turn.id);
    Object.assign(turn, { over: !speaks, settled: true, heard: item.heard, text: item.text, interrupted: Boolean(item.interrupted), error: item.error });
    this.changed();
  }

  // The turn that is not over yet: the agent thinks or speaks.
  get current() {
    return Array.from(this.turns.values()).find((turn) => !turn.over) || null;
  }

  get state() {
    if (this.turns.size && !this.current) return "listening";
    return this.current && this.player.playing(this.current.id) ? "speaking" : "thinking";
  }

  // Whether no turn has begun, so that the journal does not have the call.
  get isNew() {
    return !this.turns.size;
  }

  get busy() {
    return Boolean(this.live && this.current);
  }

  // The share of a turn's words that was heard so far; null if the turn is over.
  share(id) {
    const turn = this.turns.get(id);
    if (!turn || turn.over) return null;
    return turn.share ?? this.player.share(id, turn.text);
  }

  // Stop the sound, and store the share that was played.
  halt() {
    for (const turn of this.turns.values()) if (!turn.over) turn.share ??= this.player.share(turn.id, turn.text);
    this.player.stop();
  }

  say(text) {
    this.halt();
    this.client.say(text);
  }

  interrupt() {
    this.halt();
    this.client.startSpeaking();
    this.client.stopSpeaking();
  }

  listenStart() {
    if (!this.current) return;
    this.halt();
    this.client.startSpeaking();
  }

  // Disconnect from the call, or do not connect to it. If the developer is the caller, this hangs up.
  leave() {
    this.left = true;
    this.halt();
    this.client.close();
  }

  closed(reason) {
    this.live = false;
    this.reason = reason;
    for (const turn of this.turns.values()) this.cut(turn.id);
    this.player.stop();
    this.changed();
    this.dispatchEvent(new Event("closed"));
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
