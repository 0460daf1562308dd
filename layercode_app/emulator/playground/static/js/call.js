// A call: the client, the audio player, and the data of each turn before the journal has it.

import { api } from "./api.js";
import { PlatformClient } from "./client.js";
import { Player } from "./player.js";

export class Call extends EventTarget {
  constructor(agent) {
    super();
    this.agent = agent;
    this.turns = new Map();
    this.player = new Player((turnId) => this.played(turnId));
    this.client = new PlatformClient();
    this.client.addEventListener("message", (event) => this.take(event.detail));
    this.client.addEventListener("closed", (event) => this.closed(event.detail));
  }

  async open(conversationId, metadata) {
    const unlocked = this.player.unlock();
    const grant = await api.openSession({ agent: this.agent, conversation_id: conversationId || null, metadata });
    this.conversationId = grant.conversation_id;
    await Promise.race([unlocked, new Promise((done) => setTimeout(done, 300))]);
    await this.client.connect(grant.client_session_key);
    this.live = true;
    this.changed();
  }

  turn(id) {
    if (!this.turns.has(id)) this.turns.set(id, { id, user: "", text: "", data: [], heard: null, began: Date.now() / 1000 });
    return this.turns.get(id);
  }

  take(message) {
    const { type, turn_id: id, content } = message;
    if (type === "user.transcript") this.turn(id.replace(/^user-/, "")).user = content;
    else if (type === "turn.start" && message.role === "assistant") this.turn(id).speaking = true;
    else if (type === "response.text") this.turn(id).text += content;
    else if (type === "response.audio") this.player.play(id, content);
    else if (type === "response.data") this.turn(id).data.push(content);
    else if (type === "response.end") this.end(id);
    else if (type === "turn.end" && message.role === "assistant") this.player.stop();
    this.changed();
  }

  end(id) {
    this.turn(id).ended = true;
    this.player.end(id);
  }

  // The turn was played to its end; the page knows this without the live feed.
  played(id) {
    const turn = this.turn(id);
    Object.assign(turn, { over: true, heard: turn.text });
    this.client.played(id);
    this.changed();
  }

  // The emulator's record of a finished turn: the part that was heard.
  settle(item) {
    const turn = this.turns.get(item.turn_id);
    if (!turn) return;
    Object.assign(turn, { over: true, heard: item.heard, text: item.text, interrupted: Boolean(item.interrupted), error: item.error });
    this.changed();
  }

  get speaking() {
    return Array.from(this.turns.values()).some((turn) => turn.speaking && !turn.over);
  }

  say(text) {
    this.player.stop();
    this.client.say(text);
  }

  interrupt() {
    this.player.stop();
    this.client.startSpeaking();
    this.client.stopSpeaking();
  }

  listenStart() {
    if (!this.speaking) return;
    this.player.stop();
    this.client.startSpeaking();
  }

  hangUp() {
    this.player.stop();
    this.client.close();
  }

  closed(reason) {
    this.live = false;
    this.reason = reason;
    this.player.stop();
    this.changed();
    this.dispatchEvent(new Event("closed"));
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
