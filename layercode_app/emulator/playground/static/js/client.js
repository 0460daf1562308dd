// A client of the platform's browser protocol, for the emulator or any other server with that protocol.

export class PlatformClient extends EventTarget {
  constructor(base = location.origin) {
    super();
    this.url = `${base.replace(/^http/, "ws")}/v1/agents/web/websocket`;
    this.socket = null;
  }

  connect(key) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${this.url}?client_session_key=${encodeURIComponent(key)}`);
      this.socket = socket;
      socket.onopen = () => {
        this.send({ type: "client.ready" });
        resolve();
      };
      socket.onmessage = (event) => this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(event.data) }));
      socket.onclose = (event) => {
        reject(new Error(event.reason || "The emulator refused the connection."));
        this.dispatchEvent(new CustomEvent("closed", { detail: event.reason }));
      };
    });
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }

  say(content) {
    this.send({ type: "client.response.text", content });
  }

  data(data) {
    this.send({ type: "client.response.data", data });
  }

  startSpeaking() {
    this.send({ type: "trigger.turn.start", role: "user" });
  }

  stopSpeaking() {
    this.send({ type: "trigger.turn.end", role: "user" });
  }

  played(turnId) {
    this.send({ type: "trigger.response.audio.replay_finished", reason: "completed", turn_id: turnId });
  }

  close() {
    this.socket?.close();
  }
}
