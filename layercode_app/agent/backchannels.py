"""Recognise backchannels (listening sounds such as "mhm" or "right"), and continue the reply that they interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, TypeAlias

from ..conversation.resumed import asks, rest_of, was_cut_off
from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from ..journal.record import Status
from .phrases import Phrases

Backchannels: TypeAlias = "bool | str | Sequence[str]"
"""The backchannels to recognise: True for those of all languages, False for none.

A list contains languages and additional sounds: `["en", "fair enough"]`.
"""

SOUNDS: Final = {
    "en": (
        *("mhm", "mm", "mm-hmm", "mhmm", "hm", "hmm", "uh-huh", "aha", "ah", "oh", "ok", "okay", "right", "alright"),
        *("all right", "yeah", "yep", "yup", "yes", "sure", "I see", "got it", "gotcha", "of course", "exactly"),
    ),
    "de": (
        "mhm",
        "hm",
        "hmm",
        "aha",
        "ach so",
        "achso",
        "ok",
        "okay",
        "ja",
        "genau",
        "gut",
        "klar",
        "verstehe",
        "stimmt",
    ),
    "fr": ("mhm", "hum", "hmm", "ah", "ok", "okay", "oui", "ouais", "d'accord", "je vois", "bien sûr", "exactement"),
    "es": ("mhm", "ajá", "ah", "ok", "okay", "sí", "si", "vale", "claro", "ya", "entiendo", "de acuerdo", "exacto"),
    "it": ("mhm", "ah", "ok", "okay", "sì", "si", "certo", "capito", "capisco", "va bene", "giusto", "esatto"),
    "nl": ("mhm", "hm", "aha", "oké", "ok", "okay", "ja", "juist", "precies", "ik snap het", "begrepen", "goed"),
    "pt": ("mhm", "aham", "ah", "ok", "okay", "sim", "certo", "claro", "entendi", "tá", "tá bom", "está bem", "exato"),
}
"""The sounds and words of listeners, by language."""


def listener_of(given: Backchannels | None) -> Phrases | None:
    """Return the sounds to recognise, or None if backchannels are off. Raises DeveloperError for other types."""
    if given is None or given is False:
        return None
    names: Any = [*SOUNDS] if given is True else [given] if isinstance(given, str) else given
    unknown = isinstance(given, str) and given not in SOUNDS
    if unknown or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise DeveloperError(
            f"VoiceAgent backchannels={given!r}: expected True, languages ({', '.join(SOUNDS)}), or a list of sounds."
        )
    return _phrases(tuple(names)) if names else None


@cache
def _phrases(names: tuple[str, ...]) -> Phrases:
    return Phrases(sound for name in names for sound in SOUNDS.get(name, (name,)))


def is_listening(listener: Phrases, turn: Turn[Any, Any]) -> bool:
    """Return whether the message consists only of listening sounds, and interrupted a reply that asked no question.

    The result is False if the reply was a goodbye, or belongs to an earlier session.
    """
    last = turn.last
    if last is None or last.status not in (Status.INTERRUPTED, Status.SUPERSEDED) or last.impact == "goodbye":
        return False
    return last.session_id == turn.session_id and listener.fit(turn.text) and not asks(last)


def keep_hangup(turn: Turn[Any, Any]) -> None:
    """If the call was to end after the interrupted reply, end it after this turn, which continues that reply."""
    last = turn.last
    if last is not None and last.hangup and last.session_id == turn.session_id:
        turn.live.hang_up.ask(by_tool=False)


async def resume(turn: Turn[Any, Any]) -> bool:
    """Speak the unheard rest of the interrupted reply, without a model. Return False if no rest is known."""
    last = turn.last
    if last is None or was_cut_off(last) or not (rest := rest_of(last)):
        return False
    turn.record.resumes = last.turn_id
    keep_hangup(turn)
    await turn.live.checkpoint()
    turn.speak_last(rest, "say")
    return True
