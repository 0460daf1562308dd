// A call of a simulated caller. The server holds it; the page listens.

import { api } from "./api.js";
import { Call } from "./call.js";

// A client that gets the messages of a call, as the browser of a caller would, but sends nothing.
class ListeningClient extends EventTarget {
  listen(id) {
    this.source = new EventSource(api.messagesUrl(id));
    this.source.onopen = () => this.dispatchEvent(new Event("begin"));
    this.source.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "closed") this.end(message.reason);
      else this.dispatchEvent(new CustomEvent("message", { detail: message }));
    };
    this.source.onerror = () => { if (this.source.readyState === EventSource.CLOSED) this.end(""); };
  }

  // Stop listening. The call itself goes on.
  close() {
    if (this.source && this.source.readyState !== EventSource.CLOSED) this.end("");
  }

  end(reason) {
    this.source.close();
    this.dispatchEvent(new CustomEvent("closed", { detail: reason }));
  }

  played() {}
}

export class WatchedCall extends Call {
  // `fresh`: the call was started on this page just now.
  constructor(agent, conversationId, sound, { fresh }) {
    super(agent, sound, new ListeningClient());
    Object.assign(this, { conversationId, fresh, simulated: true });
    // The stream begins with the current turn, also after a lost connection.
    this.client.addEventListener("begin", () => { this.player.stop(); this.turns.clear(); this.changed(); });
  }

  async open() {
    await Promise.race([this.player.unlock(), new Promise((done) => setTimeout(done, 300))]);
    if (this.left) return;
    this.live = true;
    this.client.listen(this.conversationId);
    this.changed();
  }

  // A call that began before the page was loaded is in the journal already.
  get isNew() {
    return this.live && this.fresh && super.isNew;
  }
}
