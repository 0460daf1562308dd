// The state of the page: the selected call and turn, and the live call. The page is redrawn when they change.

import { api, decoded, encoded, follow } from "./api.js";
import { Call } from "./call.js";
import { callHead } from "./callhead.js";
import { CallList } from "./calls.js";
import { Composer, icon } from "./composer.js";
import { breakable, byId, fill, h, patch } from "./dom.js";
import { faultsControl } from "./faults.js";
import { Follower } from "./follow.js";
import { forkPanel } from "./fork.js";
import { Inspector } from "./inspector.js";
import { listenButton } from "./listen.js";
import { Player } from "./player.js";
import { callerMetadata, missingView, startView } from "./start.js";
import { released } from "./press.js";
import { Review } from "./review.js";
import { saveButtons } from "./save.js";
import { simulateDialog } from "./simulate.js";
import { simulatedCard } from "./simulated.js";
import { Status } from "./status.js";
import { themeButton } from "./theme.js";
import { isSpoken, transcript } from "./transcript.js";
import { BrowserVoice, browserVoice, findVoices, usesBrowserVoice } from "./voice.js";
import { WatchedCall } from "./watched.js";

const state = { agents: [], failed: [], list: null, conversation: null, conversationId: null, turnId: null, following: true, call: null, missing: null, query: "", simulated: new Map(), muted: false };
const scroller = byId("transcript-scroll");
const follower = new Follower(scroller, () => draw());
const inspector = new Inspector(byId("turn"), {
  loadLogs: (turn) => api.logs(turn.conversation_id, turn.turn_id),
  headTools: (turn) => (["running", "unfinished"].includes(turn.status) ? null : [listenButton(turn.heard ?? turn.spoken_text), saveButtons(turn, toast)]),
  forkPanel: (turn) => forkPanel(turn, state.agents.find((agent) => agent.name === turn.agent)),
});
const status = new Status(byId("status"), byId("problems"));
const calls = new CallList(byId("calls"), {
  onSelect: (id) => { open(id); view("talk"); },
  onSearch: (query) => { state.query = query; searchSoon(); },
});
const review = new Review(byId("calls"), byId("talk"), { onSelect: (id) => { open(id); view("talk"); }, toast });
const composer = new Composer(byId("composer"), {
  onSay: (text) => { followCall(); spokenInto()?.say(text); },
  onInterrupt: () => spokenInto()?.interrupt(),
  onData: (data) => spokenInto()?.client.data(data),
  onSpeechStart: () => spokenInto()?.listenStart(),
  onMute: () => mute(!state.muted),
  toast,
});

// The live call if it is on screen, else null.
function onScreen() {
  return state.call?.live && state.call.conversationId === state.conversationId ? state.call : null;
}

// The live call that gets the user's input: the call on screen, unless a simulated caller speaks in it.
function spokenInto() {
  return onScreen()?.simulated ? null : onScreen();
}

// --- data: the journal's turns, overlaid with the newer data of the live call

function turns() {
  const known = (state.conversation?.turns || []).map((turn) => overlay(turn));
  if (state.call?.conversationId !== state.conversationId) return known;
  const ids = new Set(known.map((turn) => turn.turn_id));
  for (const early of Array.from(state.call.turns.values()).filter((live) => !ids.has(live.id))) {
    const later = known.findIndex((turn) => turn.started_at > early.began);
    known.splice(later < 0 ? known.length : later, 0, asTurn(early));
  }
  return known;
}

function overlay(turn) {
  const live = state.call?.conversationId === state.conversationId ? state.call.turns.get(turn.turn_id) : null;
  if (!live) return turn.status === "running" && !turn.live ? { ...turn, status: "unfinished" } : turn;
  const spoken = turn.spoken_text.length >= live.text.length ? turn.spoken_text : live.text;
  return { ...turn, spoken_text: spoken, data: live.data.length ? live.data : turn.data || [], ...cutOf(live, spoken, turn) };
}

function cutOf(live, spoken, turn) {
  if (!live.interrupted || live.heard === null || !spoken.startsWith(live.heard)) return {};
  return { heard: live.heard, cut: spoken.slice(live.heard.length), status: turn.status === "complete" ? "interrupted" : turn.status };
}

function asTurn(live) {
  const turn = {
    turn_id: live.id, conversation_id: state.conversationId, agent: state.call.agent, kind: live.user ? "message" : "greeting", user_text: live.user,
    spoken_text: live.text, heard: live.text, cut: "", started_at: live.began, status: live.error ? "failed" : live.over ? "complete" : "running", timings: {}, tools: [], data: live.data, error_category: live.error ? "not answered" : null,
    error: live.error,
  };
  return { ...turn, ...cutOf(live, live.text, turn) };
}

// The share of a turn's words that was played, as far as the audio player knows.
function progress(turn) {
  return state.call?.conversationId === state.conversationId ? state.call.share(turn.turn_id) : null;
}

// "thinking" or "speaking" for a turn that is not over, else null.
function stateOf(turn) {
  const live = onScreen()?.turns.get(turn.turn_id);
  if (live) return live.over ? null : onScreen().state;
  if (turn.status !== "running") return null;
  return turn.spoken_text ? "speaking" : "thinking";
}

// --- drawing

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(async () => {
    await released();
    drawing = false;
    document.body.classList.toggle("starting", !state.conversationId || Boolean(state.missing));
    document.body.classList.toggle("calling", Boolean(state.call?.live));
    drawTop();
    drawHead();
    drawTalk();
    composer.show(spokenInto(), state.muted);
    review.show({ id: state.conversationId, conversation: state.conversation, busy: Boolean(onScreen() || state.missing || turns().some((turn) => turn.live)) });
    if (state.call?.busy) setTimeout(draw, 120);
  });
}

function drawTalk() {
  if (state.missing) return drawPage(state.missing, () => missingView(state.missing, { onCalls: () => view("calls"), onStart: () => open("") }));
  if (!state.conversationId) return drawPage(JSON.stringify(state.agents), () => startView(state.agents, (name) => startCall(name), (name) => simulate(name)));
  const all = turns();
  if (state.following) {
    const last = all.filter(isSpoken).at(-1);
    if (last && last.turn_id !== state.turnId) { state.turnId = last.turn_id; refreshTurn(); }
  }
  // This runs often while the agent speaks. Update in place: an element that is replaced while pressed loses the click.
  const drawn = h("div", {}, transcript(all, { selected: state.turnId, onSelect: selectTurn, progress, stateOf }), suggestions(all), aboutSimulated(), resume());
  if (scroller.querySelector("#transcript")) patch(scroller.firstChild, drawn);
  else fill(scroller, drawn);
  if (state.following) follower.place();
  byId("to-now").hidden = !onScreen() || follower.near;
}

// Draw a page without a call. If the page on screen already shows the same, keep it: a redraw would close what the user
// has opened on it.
let pageDrawn = null;
function drawPage(shows, page) {
  if (pageDrawn === shows && scroller.firstElementChild?.classList.contains("start")) return;
  pageDrawn = shows;
  fill(scroller, page());
}

// A new call is not in the journal yet. It gets a header anyway, so that nothing moves when its row arrives.
function drawHead() {
  const began = { agent: state.call?.agent, version: null, started_at: Date.now() / 1000, seconds: 0, turns: 0, cost: null };
  const recorded = state.conversation && { ...state.conversation, turns: turns().filter(isSpoken).length };
  const call = recorded || (state.call?.conversationId === state.conversationId ? began : null);
  byId("call-head").hidden = !call || Boolean(state.missing);
  byId("call-head").toggleAttribute("data-live", Boolean(onScreen()));
  if (call) patch(byId("call-head").firstChild, h("div", {}, callHead(call, state.agents.find((agent) => agent.name === call.agent))));
}

// Sentences to try, until the caller has said something.
function suggestions(all) {
  const call = spokenInto();
  const say = state.agents.find((agent) => agent.name === call?.agent)?.say || [];
  if (!say.length || all.some((turn) => turn.user_text)) return null;
  return h("div", { class: "suggestions", "data-turn": "suggestions" }, h("span", {}, "Try saying"),
    say.map((text) => h("button", { class: "small", type: "button", "data-once": true, onclick: () => { followCall(); onScreen()?.say(text); } }, text)));
}

// Who calls in a simulated call, and how it ended.
function aboutSimulated() {
  const call = state.simulated.get(state.conversationId);
  if (!call) return null;
  return simulatedCard(call, {
    watched: Boolean(onScreen()), muted: state.muted, onStop: () => stopSimulated(call.conversation_id),
    onMute: () => mute(!state.muted), onAgain: () => simulate(call.asked.agent, call.asked),
  });
}

// A continued call is a call to the agent that began it. If that agent handed the call over, the other agent still answers.
function resume() {
  if (state.simulated.get(state.conversationId)?.over === false) return null;
  if (state.call?.live && state.call.conversationId === state.conversationId) return null;
  if (!state.conversation) return null;
  return h("div", { class: "aside-row", "data-turn": "resume" },
    h("button", { "data-once": true, onclick: () => startCall(state.conversation.first_agent, state.conversationId) }, "Continue this call"),
    h("a", { class: "button", href: api.exportUrl(state.conversationId), download: "" }, "Export this call"));
}

// Redraw only if something changed: a button that is replaced while it is pressed loses the click.
let topDrawn = "";
function drawTop() {
  const call = state.call?.live ? state.call : null;
  const now = JSON.stringify([call?.agent, call?.conversationId, !call && state.conversationId, state.missing]);
  if (now !== topDrawn) fill(byId("top-call"), call ? lineTools(call) : newCall());
  topDrawn = now;
  if (call) drawState(call);
}

// Buttons to show and to hang up the live call, on every view.
function lineTools(call) {
  return [
    h("button", { class: "live-call", id: "live-call", title: "Show this call", onclick: () => { open(call.conversationId); view("talk"); followCall(); } },
      h("span", { class: "pulse" }), h("span", { class: "who" }, breakable(call.agent)), h("span", { class: "state" })),
    h("button", { class: "danger", id: "hang-up", onclick: () => (call.simulated ? stopSimulated(call.conversationId) : call.leave()) }, icon("hangup"), h("span", {}, call.simulated ? "Stop" : "Hang up"))];
}

function drawState(call) {
  const text = byId("top-call").querySelector(".state");
  if (text.textContent !== call.state) text.textContent = call.state;
  byId("top-call").querySelector(".pulse").dataset.state = call.state;
  byId("live-call").toggleAttribute("data-away", call !== onScreen());
}

function newCall() {
  return state.conversationId && !state.missing ? h("button", { id: "new-call", "data-once": true, onclick: () => open("") }, "New call") : null;
}

function drawList() {
  if (state.list) calls.show(state.list, { selected: state.conversationId, live: state.call?.live ? state.call.conversationId : null });
}

function toast(text) {
  status.tell(text);
}

function reloaded({ error, failed, gone }) {
  if (error) return "The agents were not reloaded. Press Show in the status line to see why.";
  const broken = failed.map((one) => `${one.file.split(/[\\/]/).at(-1)} failed to import${one.answers ? "; its last working version is used" : " and is not available"}.`);
  return [...broken, ...gone.map((name) => `No agent file has the agent ${name} any more.`)].join(" ") || "Agents reloaded.";
}

function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll(".tabs-bottom button")) button.setAttribute("aria-current", String(button.dataset.view === name));
}

// --- loading

async function refreshAgents() {
  take(await api.agents());
}

function take({ agents, failed, error, voice }) {
  Object.assign(state, { agents, failed });
  if (voice) browserVoice.wanted = voice === "browser";
  status.show({ failed, error });
  draw();
}

async function refreshList() {
  const mine = ++asked;
  const found = await api.conversations(state.query);
  await released();
  if (isLate("list", mine)) return;
  state.list = found;
  drawList();
}

// Answers may arrive out of order. Ignore an answer that was requested before the one on screen.
let asked = 0;
const shownOf = { conversation: 0, turn: 0, list: 0 };
function isLate(what, mine) {
  if (mine < shownOf[what]) return true;
  shownOf[what] = mine;
  return false;
}

async function refreshConversation() {
  const id = state.conversationId;
  const mine = ++asked;
  if (!id) return;
  if (state.call?.conversationId === id && state.call.isNew) return;
  const found = await api.conversation(id).catch((error) => ({ error }));
  if (id !== state.conversationId || isLate("conversation", mine)) return;
  state.missing = found.error && !state.conversation && state.call?.conversationId !== id ? found.error.message : null;
  if (!found.error) state.conversation = found;
  draw();
  if (isOutdated(inspector.turn)) refreshTurn();
}

// Whether the journal has newer data of the selected turn than the inspector shows. The inspector may still show data
// of the live call.
function isOutdated(shown) {
  if (shown?.turn_id !== state.turnId) return true;
  const recorded = state.conversation?.turns.find((turn) => turn.turn_id === state.turnId);
  return Boolean(recorded) && (!shown.frames || shown.status !== overlay(recorded).status);
}

async function refreshTurn() {
  const { conversationId, turnId } = state;
  const mine = ++asked;
  if (!turnId) return inspector.empty();
  const recorded = state.conversation?.turns.some((turn) => turn.turn_id === turnId);
  const found = recorded ? await api.turn(conversationId, turnId).catch(() => null) : null;
  await released();
  if (turnId !== state.turnId || conversationId !== state.conversationId || isLate("turn", mine)) return;
  const number = turns().filter(isSpoken).findIndex((turn) => turn.turn_id === turnId) + 1;
  const known = found ? { ...found, ...pick(overlay(found), ["cut", "heard", "status", "spoken_text"]) } : turns().find((turn) => turn.turn_id === turnId);
  if (known) inspector.show(known, number);
}

function pick(from, names) {
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

function soon(work, wait) {
  let timer = null;
  return () => { timer ??= setTimeout(() => { timer = null; work().catch((error) => console.warn(error.message)); }, wait); };
}
const conversationSoon = soon(refreshConversation, 120);
const turnSoon = soon(refreshTurn, 160);
const listSoon = soon(refreshList, 500);
const reviewSoon = soon(() => review.load(), 500);
const searchSoon = soon(refreshList, 150);

// --- actions

function selectTurn(id, { stay = false } = {}) {
  state.turnId = id;
  state.following = turns().filter(isSpoken).at(-1)?.turn_id === id;
  if (!stay) view("turn");
  draw();
  refreshTurn();
}

function open(id) {
  const hash = id ? `#${encoded(id)}` : "#";
  if (location.hash !== hash && (location.hash || id)) location.hash = hash;
  else show(id);
}

function show(id) {
  if (id === (state.conversationId || "")) return;
  Object.assign(state, { conversationId: id || null, conversation: null, turnId: null, following: true, missing: null });
  follower.on = true;
  watchRunning();
  inspector.empty();
  fill(scroller);
  draw();
  drawList();
  refreshConversation();
}

function followCall() {
  state.following = follower.on = true;
  draw();
}

async function startCall(agent, conversationId) {
  state.call?.leave();
  const call = new Call(agent, sound);
  call.addEventListener("change", draw);
  call.addEventListener("closed", () => { if (call.reason) toast(`The call ended: ${call.reason}.`); conversationSoon(); listSoon(); draw(); });
  try {
    state.call = call;
    await call.open(conversationId, callerMetadata());
  } catch (error) {
    if (call !== state.call) return;
    state.call = null;
    return toast(error.message);
  }
  if (call !== state.call) return; // Another call was started before this one was open.
  open(call.conversationId);
  if (state.conversationId !== call.conversationId) show(call.conversationId);
  followCall();
  composer.show(onScreen(), state.muted);
  byId("say").focus();
}

// Let the developer choose a simulated caller. `again` is the request of an earlier call, which fills in the form.
function simulate(agent, again = null) {
  simulateDialog(agent, { onStarted: watch, again }).catch((error) => toast(error.message));
}

// Show a simulated call, and listen to it.
async function watch(call) {
  state.simulated.set(call.conversation_id, call);
  await listenTo(call, true);
  open(call.conversation_id);
  view("talk");
  followCall();
}

// The page is in one call at a time.
async function listenTo({ asked, conversation_id: id }, fresh) {
  state.call?.leave();
  const call = new WatchedCall(asked.agent, id, sound, { fresh });
  call.addEventListener("change", draw);
  call.addEventListener("closed", () => { conversationSoon(); listSoon(); draw(); });
  state.call = call;
  await call.open();
}

// Listen to the simulated call on screen if it still runs, for example after the page was reloaded.
function watchRunning() {
  const call = state.simulated.get(state.conversationId);
  if (call?.running && !state.call?.live && !state.call?.opening) listenTo(call, false);
}

async function refreshSimulated() {
  const { calls: found } = await api.simulatedCalls();
  state.simulated = new Map(found.map((call) => [call.conversation_id, call]));
  watchRunning();
  draw();
}

function stopSimulated(id) {
  api.stopSimulated(id).catch((error) => toast(error.message));
}

// Mute the agent in this call and in the next ones, until the page is reloaded.
function mute(muted) {
  state.muted = muted;
  state.call?.player.setMuted(muted);
  draw();
}

function sound(onPlayed) {
  const player = usesBrowserVoice() ? new BrowserVoice(onPlayed) : new Player(onPlayed);
  player.setMuted(state.muted);
  return player;
}

function onItem(item) {
  if (item.kind === "reload") { take(item); toast(reloaded(item)); return; }
  if (item.kind === "simulated") { state.simulated.set(item.conversation_id, item.call); if (item.call.ending) conversationSoon(); draw(); return; }
  if (item.kind === "turn") state.call?.settle(item);
  if (item.kind === "notice" && item.conversation_id === state.call?.conversationId) toast(item.text);
  if (["journal", "turn", "session"].includes(item.kind)) { listSoon(); reviewSoon(); conversationSoon(); turnSoon(); }
  if (item.kind === "frame" && item.conversation_id === state.conversationId) { conversationSoon(); if (item.turn_id === state.turnId) turnSoon(); }
}

let connected = true;
function onState(now) {
  if (now && !connected) refreshAgents();
  if (now) { refreshSimulated().catch(() => {}); listSoon(); reviewSoon(); conversationSoon(); } // Items sent before the feed was open are lost.
  status.show({ down: !now });
  connected = now;
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
await refreshAgents();
show(decoded(location.hash.slice(1)));
refreshList();
draw();
document.body.dataset.ready = "true";
