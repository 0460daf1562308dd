"""Recognise an answering machine by its greeting, leave a message and end the call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

from ..blank import is_blank
from ..conversation.flow import OPENING
from ..conversation.plain_words import plain_words
from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from .declaration_checks import check_greeting
from .option_checks import check_model
from .tool_policy import texts_of
from .verdict import verdict_on

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from .voice_agent import VoiceAgent

Message: TypeAlias = "str | Callable[[Turn[Any, Any]], str | Awaitable[str]]"
VOICEMAIL = "voicemail"
"""The name of the outcome that is recorded when a message is left."""
FIRST_MESSAGES = 3
"""The number of messages at the start of a session that are checked for a machine's greeting."""
MOST_TRIES = 3
"""The agent's message is spoken at most this many times. It is repeated if the machine's greeting interrupts it."""
_MACHINE = re.compile(
    r"\b(?:leave|record) (?:me |us |your |a )*(?:short |brief |detailed )?(?:message|name|number)"
    r"|\b(?:after|at) the (?:tone|beep|signal)\b|\b(?:voice ?mail|mailbox|answering (?:machine|service))\b"
    r"|\bautomat(?:ed|ic) voice\b.*\bsystem\b|\bforwarded to\b.*\bvoice\b|\bfinished recording\b"
    r"|\bnach dem (?:signalton|piep\w*|ton)\b|\bnachricht (?:hinterlassen|nach)|\bhinterlassen sie\b"
    r"|\banrufbeantworter\b|\bmobilbox\b"
    r"|\bapr[èe]s le (?:bip|signal)\b|\blaissez?(?: moi| nous)? un message\b|\bmessagerie vocale\b|\br[ée]pondeur\b"
    r"|\bdespu[ée]s de la (?:se[ñn]al|tono)\b|\bdeje (?:su|un) mensaje\b|\bbuz[óo]n de voz\b",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:who is|who's|wer ist|qui est|quién)\b|\b(?:can|may|could|shall|should) i (?:take|help|pass|leave|give)\b"
    r"|\b(?:do|would) you (?:want|like) (?:me )?to\b|\bcan you (?:leave|call)\b|\bi (?:got|heard|saw|listened to)\b",
    re.IGNORECASE,
)
_PERHAPS = re.compile(
    r"\b(?:not available|unavailable|unable to|can't|cannot|can not|nicht erreichbar|not able to)\b"
    r"|\b(?:you(?:'ve| have)? reached|thank you for calling|call (?:you )?back)\b",
    re.IGNORECASE,
)


class Verdict(BaseModel):
    """A model's judgement of the first words that the other side says."""

    is_machine: bool


@dataclass(frozen=True)
class Voicemail:
    """Options for answering machines: `voicemail=Voicemail("Hello, this is ...", model="openai:gpt-5-nano")`.

    Args:
        message: The message to leave: a text, or a function of the turn that returns a text.
        phrases: Additional phrases by which a machine's greeting is recognised.
        model: A model that judges doubtful greetings. Without a model, only typical wordings are recognised.

    Raises DeveloperError or HookError for an argument of the wrong type.

    """

    message: Message
    phrases: Sequence[str] = ()
    model: Model | str | None = None

    def __post_init__(self) -> None:
        message: object = self.message
        if message is None or (isinstance(message, str) and is_blank(message)):
            raise DeveloperError(
                f"Voicemail message={self.message!r}: expected a text to leave, or a function of the turn."
            )
        check_greeting("voicemail", self.message)
        texts_of("Voicemail phrases", self.phrases)
        check_model("Voicemail model", self.model)


def voicemail_of(given: Message | Voicemail | None) -> Voicemail | None:
    """Return the voicemail options, or None. A text or a function becomes the message to leave."""
    return given if given is None or isinstance(given, Voicemail) else Voicemail(given)


async def leave_message(voice: VoiceAgent[Any, Any], turn: Turn[Any, Any]) -> bool:
    """If a machine has answered, leave the message and end the call. Return whether a machine has answered."""
    voicemail = voice.voicemail
    assert voicemail is not None
    tries = _tries(turn)
    if not tries and not await _is_machine(voicemail, turn):
        return False
    turn.hangup()
    if tries < MOST_TRIES:
        turn.outcome(VOICEMAIL, value=tries + 1)
        message = voicemail.message(turn) if callable(voicemail.message) else voicemail.message
        turn.say(await message if inspect.isawaitable(message) else message)
    return True


def _tries(turn: Turn[Any, Any]) -> int:
    """Return how many times in a row the message was spoken, up to the previous turn of this session.

    Return 0 if the previous turn did not speak the message.
    """
    last = turn.last
    if last is None or last.session_id != turn.session_id:
        return 0
    return int(max((given["value"] or 0 for given in last.outcomes if given["name"] == VOICEMAIL), default=0))


async def _is_machine(voicemail: Voicemail, turn: Turn[Any, Any]) -> bool:
    flow = turn.live.flow
    assert flow is not None
    number = int(flow.kept_for(OPENING, turn.session_id) or 0) + 1
    if number > FIRST_MESSAGES:
        return False
    flow.keep_for(OPENING, turn.session_id, str(number))
    return await machine_says(voicemail, turn)


async def machine_says(voicemail: Voicemail, turn: Turn[Any, Any]) -> bool:
    """Return whether the turn's text is a machine's greeting. The model is asked only if the patterns do not decide."""
    known = is_machine_text(turn.text, voicemail.phrases)
    if known is not None or voicemail.model is None:
        return bool(known)
    question = (
        "An agent has called a number and hears the text below. Is this text the recorded greeting of an answering "
        "machine, and not the words of a person?"
    )
    failed = "The model that recognises voicemail failed: {}"
    verdict = await verdict_on(turn, voicemail.model, Verdict, question, name="voicemail", failed=failed)
    # Without a verdict, the call goes on as if a person had answered.
    return verdict is not None and verdict.is_machine


def is_machine_text(text: str, phrases: Sequence[str] = ()) -> bool | None:
    """Return whether the text is a machine's greeting, or None if the patterns do not decide."""
    if _PERSON.search(text) or text.rstrip().endswith("?"):
        return False
    plain = f" {plain_words(text)} "
    if _MACHINE.search(text) or any(f" {plain_words(phrase)} " in plain for phrase in phrases):
        return True
    return None if _PERHAPS.search(text) else False
