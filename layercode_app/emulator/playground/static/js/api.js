// The page's own API, and the live feed.

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error || `The server answered ${response.status}.`);
  return answer;
}

function send(method, path, body, signal) {
  return ask(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
}

// Encode an id for a URL. Ids may contain lone surrogates, which a URL cannot encode, so these are replaced.
export function encoded(id) {
  return encodeURIComponent(id.replace(/[\ud800-\udfff]/gu, "\ufffd"));
}

// Decode a text from a URL. A text that is not validly encoded is returned unchanged.
export function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

const conversation = (id) => `/dev/api/conversations/${encoded(id)}`;

export const api = {
  agents: () => ask("/dev/api/agents"),
  models: () => ask("/dev/api/models"),
  conversations: (query = "") => ask(`/dev/api/conversations${query ? `?q=${encoded(query)}` : ""}`),
  conversation: (id) => ask(conversation(id)),
  turn: (id, turn) => ask(`${conversation(id)}/turns/${encoded(turn)}`),
  logs: (id, turn) => ask(`${conversation(id)}/turns/${encoded(turn)}/logs`),
  exportUrl: (id) => `${conversation(id)}/export`,
  openSession: (asked) => send("POST", "/dev/api/sessions", asked),
  saveTurn: (turn, form) => send("POST", "/dev/api/saved-turns", { conversation_id: turn.conversation_id, turn_id: turn.turn_id, form }),
  reviews: ({ since, reviewed }) => ask(`/dev/api/reviews?since=${encoded(since)}&reviewed=${reviewed}`),
  review: (asked) => send("POST", "/dev/api/reviews", asked),
  guessGoal: (asked, signal) => send("POST", "/dev/api/reviews/goal", asked, signal),
  reviewScenario: (asked) => send("POST", "/dev/api/reviews/scenario", asked),
  callers: () => ask("/dev/api/callers"),
  simulatedCalls: () => ask("/dev/api/simulated-calls"),
  simulate: (asked) => send("POST", "/dev/api/simulated-calls", asked),
  stopSimulated: (id) => send("POST", `/dev/api/simulated-calls/${encoded(id)}/stop`, {}),
  messagesUrl: (id) => `/dev/api/simulated-calls/${encoded(id)}/messages`,
  fork: (asked) => send("POST", "/dev/api/fork", asked),
  speech: async (text) => {
    const response = await fetch("/dev/api/speech", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text }) });
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    return response.arrayBuffer();
  },
  faults: () => ask("/emulator/faults"),
  setFaults: (faults) => send("PUT", "/emulator/faults", faults),
};

const RETRY_MS = 2000;

// Call `onItem` with each item of the live feed, and `onState` with true or false when the feed opens or closes. A
// browser opens only six connections to a host, so only the tab that holds a lock reads the feed. It sends the items to
// the other tabs. When it is closed, the browser gives the lock to another tab.
export function follow(onItem, onState) {
  if (!navigator.locks) return read(onItem, onState); // the page came over http from another machine
  const tabs = new BroadcastChannel("live");
  const take = ({ item, open }) => { if (item) onItem(item); else if (open !== undefined) onState(open); };
  const tell = (message) => { tabs.postMessage(message); take(message); };
  let follows = false;
  tabs.onmessage = ({ data }) => { follows ||= "open" in data; take(data); };
  navigator.locks.request("live", () => new Promise(() => {
    if (follows) tell({ open: false }); // Items may be lost until the feed is open again.
    let open; // undefined until the first answer of the server
    read((item) => tell({ item }), (now) => { open = now; tell({ open }); });
    tabs.addEventListener("message", ({ data }) => { if (data.asks && open !== undefined) tabs.postMessage({ open }); });
  }));
  tabs.postMessage({ asks: true });
}

// After a lost connection, the browser reads the feed again. After an answer such as 404 it does not: `run` gives this
// answer if it uses the port in between.
function read(onItem, onState) {
  const source = new EventSource("/dev/api/live");
  source.onmessage = (event) => onItem(JSON.parse(event.data));
  source.onopen = () => onState(true);
  source.onerror = () => {
    onState(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => read(onItem, onState), RETRY_MS);
  };
}
