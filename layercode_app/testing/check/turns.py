"""Check the turns of a conversation: duplicates, interruptions, memory, and concurrent callers."""

from __future__ import annotations

import asyncio
import re
import time

from .limits import FailedError, SkippedError
from .model import check
from .probe import Exchange, Probe, Talk

GROUP = "turns"
CODE, OTHER = "marzipan", "periwinkle"
ASK = "What was the first word I asked you to remember before?"
NONSENSE = "Which fendle did you wug before?"
"""A nonsense question with words of ASK. An agent that only matches keywords gives both questions the same answer."""
LONG_REQUEST = "Then tell me a long story about it, with many turns and twists, and a good end, and take your time."
_WORD = re.compile(r"\w+")
SLACK_SECONDS = 2.0
"""Tolerance in seconds, so that the check fails for a server that blocks, but not on a busy machine."""
TRIES = 3


@check(
    "turns.duplicate",
    "a turn that is delivered twice runs once",
    why="the platform may deliver a turn twice; then an order is placed twice, and you pay twice for the model",
    fix="Store the frames of each turn under its conversation_id and turn_id, and send them again for a duplicate.",
)
async def duplicate(probe: Probe) -> None:
    """Deliver a turn twice; the second answer must have the same words."""
    talk = probe.talk()
    (await talk.say("Hello")).needs_whole_turn()
    event = talk.event("message", text="How many times have I spoken?")
    once = (await probe.deliver(event)).needs_whole_turn()
    again = (await probe.deliver(event)).needs_whole_turn()
    if once.spoken != again.spoken:
        raise FailedError(f"the first answer was {once.spoken[:80]!r}, the second {again.spoken[:80]!r}")


@check(
    "turns.duplicate-at-once",
    "both of two concurrent deliveries of a turn are answered",
    why="the caller may hear the answer to either delivery",
    fix="Let the second delivery join the running turn.",
)
async def duplicate_at_once(probe: Probe) -> None:
    """Deliver a turn twice at the same time; both answers must be complete."""
    event = probe.talk().event("message", text="Hello twice")
    for exchange in await asyncio.gather(probe.deliver(event), probe.deliver(event)):
        exchange.needs_whole_turn()


async def _recalls(probe: Probe, asked: Exchange, word: str, what: str) -> None:
    """Check that the agent's answer in the exchange `asked` contains the word. An error message begins with `what`.

    Raises FailedError if the word is missing, or SkippedError if the agent does not answer memory questions at all.
    """
    spoken = asked.needs_whole_turn().spoken
    if word in spoken.lower():
        return
    if await _is_evaded(probe, spoken) and not await _can_recall(probe):
        raise SkippedError(
            f"the agent does not answer questions about earlier words, but says {spoken[:80]!r}; "
            "test its memory by hand"
        )
    raise FailedError(f"{what}: asked for the word {word!r}, the agent said {spoken[:120]!r}")


async def _is_evaded(probe: Probe, spoken: str) -> bool:
    """Return whether the agent gives the same answer to the questions ASK and NONSENSE. `spoken` is its answer to ASK.

    The comparison ignores all words that occur in ASK or in NONSENSE.
    """
    nonsense = (await probe.talk().say(NONSENSE)).spoken
    return _own_words(spoken) == _own_words(nonsense)


def _own_words(spoken: str) -> list[str]:
    asked = _WORD.findall(f"{ASK} {NONSENSE}".lower())
    return [word for word in _WORD.findall(spoken.lower()) if word not in asked]


async def _can_recall(probe: Probe) -> bool:
    """Return whether the agent can repeat a word that it was told in the previous turn."""
    talk = probe.talk()
    await _tell(talk, CODE)
    return CODE in (await talk.say(ASK)).spoken.lower()


async def _tell(talk: Talk, word: str) -> None:
    (await talk.say(f"Please remember this word: {word}.")).needs_whole_turn()


@check(
    "turns.memory",
    "a conversation is remembered",
    why="callers who must repeat themselves hang up",
    fix="Keep the messages of each conversation and give them to the model. If your agent never answers questions "
    "about earlier words, use --skip turns.memory.",
)
async def memory(probe: Probe) -> None:
    """Ask in the third turn for a word from the first turn."""
    talk = probe.talk()
    await _tell(talk, CODE)
    (await talk.say("Thank you.")).needs_whole_turn()
    await _recalls(probe, await talk.say(ASK), CODE, "two turns later")


@check(
    "turns.memory-over-sessions",
    "a conversation is remembered after a reconnect",
    why="session_id changes with every connection, and phones often lose their connection",
    fix="Use conversation_id as the key of the history, never session_id.",
)
async def memory_over_sessions(probe: Probe) -> None:
    """Tell the agent a word, and ask for it in a new session of the same conversation."""
    talk = probe.talk()
    await _tell(talk, CODE)
    talk.reconnect()
    await _recalls(probe, await talk.say(ASK), CODE, "in a new session of the same conversation")


@check(
    "turns.privacy",
    "one caller does not hear another caller's words",
    why="it is the worst possible data leak",
    fix="Keep no data of a conversation in globals or in the agent.",
)
async def privacy(probe: Probe) -> None:
    """Tell the agent a word in each of two calls; the second caller must not hear the first caller's word."""
    before, after = probe.talk(), probe.talk()
    await _tell(before, CODE)
    await _tell(after, OTHER)
    spoken = (await after.say(ASK)).needs_whole_turn().spoken.lower()
    if CODE in spoken:
        raise FailedError(f"a second caller, who asked for the word {OTHER!r}, was told {spoken[:120]!r}")


async def _spoken_over(probe: Probe, *, after_frames: int) -> None:
    """Close the connection of a turn after `after_frames` frames of the answer.

    The next turn must be answered, and must know what the caller said in the interrupted turn.
    """
    talk = probe.talk()
    text = f"Please remember this word: {CODE}. {LONG_REQUEST}"
    await probe.abort(talk.event("message", text=text), after_frames=after_frames)
    heard = {"previous_turn_interrupted": True, "words_heard": 0, "text_heard": "", "assistant_turn_id": talk.turn_id}
    await _recalls(probe, await talk.say(ASK, interruption_context=heard), CODE, "after an interrupted reply")


@check(
    "turns.interrupted",
    "after an interruption, the next turn is answered, and the agent still knows what the caller said before",
    why="callers interrupt, often with important words",
    fix="Save the caller's words before you call the model. Detect the disconnect, and then stop the model.",
)
async def interrupted(probe: Probe) -> None:
    """Close the connection after the first event of the answer."""
    await _spoken_over(probe, after_frames=1)


@check(
    "turns.interrupted-early",
    "an interruption before the first word does no harm",
    why="it is the most common interruption: the caller pauses, and then continues to speak",
    fix="Save the caller's message before you answer, and release locks in a `finally` block.",
)
async def interrupted_early(probe: Probe) -> None:
    """Close the connection shortly after the request."""
    talk = probe.talk()
    await probe.abort(talk.event("message", text="Hello, I would like to"), after_frames=0)
    (await talk.say("order something")).needs_whole_turn()


@check(
    "turns.at-once",
    "many callers are answered at the same time",
    why="otherwise the second caller waits until the first is answered",
    fix="Do not block: use async clients, no global lock, and enough workers.",
)
async def at_once(probe: Probe) -> None:
    """Compare the time to answer one caller with the time to answer many concurrent callers.

    Fail if the concurrent callers take much longer in every try.
    """
    alone = together = 0.0
    for _ in range(TRIES):
        alone, together = await _one_and_all(probe)
        if together <= 3 * alone + SLACK_SECONDS:
            return
    raise FailedError(f"one caller took {alone:.2f} s, {probe.limits.callers} at once took {together:.2f} s")


async def _one_and_all(probe: Probe) -> tuple[float, float]:
    """Return the seconds until one caller is answered, and until all of several concurrent callers are answered."""
    begun = time.perf_counter()
    (await probe.talk().say("Hello, number 0")).needs_whole_turn()
    alone = time.perf_counter() - begun
    begun = time.perf_counter()
    callers = (probe.talk().say(f"Hello, number {n}") for n in range(probe.limits.callers))
    for exchange in await asyncio.gather(*callers):
        exchange.needs_whole_turn()
    return alone, time.perf_counter() - begun


@check(
    "turns.apart",
    "concurrent answers are not mixed up",
    why="otherwise a caller hears another caller's answer, or nothing",
    fix="Keep the data of a turn in local variables, not in globals or in the agent.",
)
async def apart(probe: Probe) -> None:
    """Send messages of several callers at once. Each event of an answer must carry the turn_id of its message."""
    talks = [probe.talk() for _ in range(probe.limits.callers)]
    exchanges = await asyncio.gather(*(talk.say(f"Hello from caller {n}") for n, talk in enumerate(talks)))
    for talk, exchange in zip(talks, exchanges, strict=True):
        strange = [f.turn_id for f in exchange.needs_whole_turn().frames if f.turn_id != talk.turn_id]
        if strange:
            raise FailedError(f"expected turn_id {talk.turn_id!r}, got {strange[0]!r}")
