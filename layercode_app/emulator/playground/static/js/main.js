// Connect the parts of the page. They are redrawn when `state` changes.

import { api, decoded, encoded, follow } from "./api.js";
import { callHead } from "./callhead.js";
import { Calling } from "./calling.js";
import { CallList } from "./calls.js";
import { Composer } from "./composer.js";
import { byId, h, patch } from "./dom.js";
import { faultsControl } from "./faults.js";
import { forkPanel } from "./fork.js";
import { Inspector } from "./inspector.js";
import { listenButton } from "./listen.js";
import { Loading, soon } from "./loading.js";
import { released } from "./press.js";
import { Review } from "./review.js";
import { saveButtons } from "./save.js";
import { agentNamed, onScreen, spokenInto, state, turns } from "./state.js";
import { Status } from "./status.js";
import { Talk } from "./talk.js";
import { themeButton } from "./theme.js";
import { TopBar } from "./topbar.js";
import { isSpoken } from "./transcript.js";
import { browserVoice, findVoices } from "./voice.js";

const status = new Status(byId("status"), byId("problems"));
const toast = (text) => status.tell(text);
const inspector = new Inspector(byId("turn"), {
  loadLogs: (turn) => api.logs(turn.conversation_id, turn.turn_id),
  headTools: (turn) => (["running", "unfinished"].includes(turn.status) ? null : [listenButton(turn.heard ?? turn.spoken_text), saveButtons(turn, toast)]),
  forkPanel: (turn) => forkPanel(turn, agentNamed(turn.agent)),
});
const loading = new Loading(inspector, { onList: drawList, onConversation: draw });
const calling = new Calling({ onChange: draw, onStarted: started, onEnded: ended, toast });
const selectCall = (id) => { open(id); view("talk"); };
const calls = new CallList(byId("calls"), { onSelect: selectCall, onSearch: (query) => { state.query = query; loading.searchSoon(); } });
const review = new Review(byId("calls"), byId("talk"), { onSelect: selectCall, toast });
const reviewSoon = soon(() => review.load(), 500);
const say = (text) => { followCall(); spokenInto()?.say(text); };
const composer = new Composer(byId("composer"), {
  onSay: say,
  onInterrupt: () => spokenInto()?.interrupt(),
  onData: (data) => spokenInto()?.client.data(data),
  onSpeechStart: () => spokenInto()?.listenStart(),
  onMute: () => calling.toggleMuted(),
  toast,
});
const topBar = new TopBar(byId("top-call"), {
  onShow: (call) => { selectCall(call.conversationId); followCall(); },
  onHangUp: (call) => calling.hangUp(call),
  onNew: () => open(""),
});
const talk = new Talk(byId("transcript-scroll"), {
  change: draw, select: selectTurn, say, calls: () => view("calls"), start: () => open(""), call: (agent, id) => calling.start(agent, id),
  simulate: (agent, again) => calling.simulate(agent, again), stop: (id) => calling.stop(id), mute: () => calling.toggleMuted(),
});

// --- drawing

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(async () => {
    await released();
    drawing = false;
    drawParts();
    if (state.call?.busy) setTimeout(draw, 120);
  });
}

function drawParts() {
  const all = turns();
  if (state.following) followLast(all);
  document.body.classList.toggle("starting", !state.conversationId || Boolean(state.missing));
  document.body.classList.toggle("calling", Boolean(state.call?.live));
  topBar.show();
  drawHead(all);
  talk.show(all);
  byId("to-now").hidden = !onScreen() || talk.follower.near;
  composer.show(spokenInto(), state.muted);
  review.show({ id: state.conversationId, conversation: state.conversation, busy: Boolean(onScreen() || state.missing || all.some((turn) => turn.live)) });
}

// Select the last turn.
function followLast(all) {
  const last = all.filter(isSpoken).at(-1);
  if (!last || last.turn_id === state.turnId) return;
  state.turnId = last.turn_id;
  loading.turn();
}

// A new call is not in the journal yet. It gets a header anyway, so that nothing moves when its row arrives.
function drawHead(all) {
  const began = { agent: state.call?.agent, version: null, started_at: Date.now() / 1000, seconds: 0, turns: 0, cost: null };
  const recorded = state.conversation && { ...state.conversation, turns: all.filter(isSpoken).length };
  const call = recorded || (state.call?.conversationId === state.conversationId ? began : null);
  byId("call-head").hidden = !call || Boolean(state.missing);
  byId("call-head").toggleAttribute("data-live", Boolean(onScreen()));
  if (call) patch(byId("call-head").firstChild, h("div", {}, callHead(call, agentNamed(call.agent))));
}

function drawList() {
  if (state.list) calls.show(state.list, { selected: state.conversationId, live: state.call?.live ? state.call.conversationId : null });
}

function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll(".tabs-bottom button")) button.setAttribute("aria-current", String(button.dataset.view === name));
}

// --- actions

function selectTurn(id, { stay = false } = {}) {
  state.turnId = id;
  state.following = turns().filter(isSpoken).at(-1)?.turn_id === id;
  if (!stay) view("turn");
  draw();
  loading.turn();
}

function open(id) {
  const hash = id ? `#${encoded(id)}` : "#";
  if (location.hash !== hash && (location.hash || id)) location.hash = hash;
  else show(id);
}

function show(id) {
  if (id === (state.conversationId || "")) return;
  Object.assign(state, { conversationId: id || null, conversation: null, turnId: null, following: true, missing: null });
  calling.watchRunning();
  inspector.empty();
  talk.clear();
  draw();
  drawList();
  loading.conversation();
}

function followCall() {
  state.following = talk.follower.on = true;
  draw();
}

function started(call) {
  open(call.conversationId);
  if (state.conversationId !== call.conversationId) show(call.conversationId);
  view("talk");
  followCall();
  if (call.simulated) return;
  composer.show(onScreen(), state.muted);
  byId("say").focus();
}

function ended(call) {
  if (call.reason && !call.simulated) toast(`The call ended: ${call.reason}.`);
  loading.conversationSoon();
  loading.listSoon();
  draw();
}

// --- the live feed of the server

function onItem(item) {
  if (item.kind === "reload") { take(item); toast(reloaded(item)); return; }
  if (item.kind === "simulated") { state.simulated.set(item.conversation_id, item.call); if (item.call.ending) loading.conversationSoon(); draw(); return; }
  if (item.kind === "turn") state.call?.settle(item);
  if (item.kind === "notice" && item.conversation_id === state.call?.conversationId) toast(item.text);
  if (["journal", "turn", "session"].includes(item.kind)) { loading.listSoon(); reviewSoon(); loading.conversationSoon(); loading.turnSoon(); }
  if (item.kind === "frame" && item.conversation_id === state.conversationId) { loading.conversationSoon(); if (item.turn_id === state.turnId) loading.turnSoon(); }
}

let connected = true;
function onState(now) {
  if (now && !connected) loadAgents();
  if (now) { calling.loadSimulated().catch(() => {}); loading.listSoon(); reviewSoon(); loading.conversationSoon(); } // Items sent before the feed was open are lost.
  status.show({ down: !now });
  connected = now;
}

async function loadAgents() {
  take(await api.agents());
}

function take({ agents, failed, error, voice }) {
  Object.assign(state, { agents, failed });
  if (voice) browserVoice.wanted = voice === "browser";
  status.show({ failed, error });
  draw();
}

function reloaded({ error, failed, gone }) {
  if (error) return "The agents were not reloaded. Press Show in the status line to see why.";
  const broken = failed.map((one) => `${one.file.split(/[\\/]/).at(-1)} failed to import${one.answers ? "; its last working version is used" : " and is not available"}.`);
  return [...broken, ...gone.map((name) => `No agent file has the agent ${name} any more.`)].join(" ") || "Agents reloaded.";
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]") && spokenInto()?.busy) spokenInto().interrupt();
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || "");
  if (event.key === "/" && !typing && spokenInto()) { event.preventDefault(); byId("say").focus(); }
});
for (const button of document.querySelectorAll(".tabs-bottom button")) button.addEventListener("click", () => view(button.dataset.view));
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); view("talk"); byId("talk").focus(); });
byId("to-now").addEventListener("click", followCall);
addEventListener("hashchange", () => show(decoded(location.hash.slice(1))));

themeButton();
findVoices(() => status.show());
faultsControl(toast);
view("talk");
follow(onItem, onState);
await loadAgents();
show(decoded(location.hash.slice(1)));
loading.list();
draw();
document.body.dataset.ready = "true";
