"""Extract the caller's words from a model's text: no markdown, no stage directions, no lines of the agent."""

from __future__ import annotations

import re

from ....agent.markdown_filter import speakable

MOST_CHARACTERS = 500
"""Maximum length of a line. A longer line is cut at the end of a sentence, or else of a word."""
HANG_UP = re.compile(r"[\[(*<\s]*(?:(?:i )?hangs? up|ends? (?:the )?call|end of call)[\])*>.!\s]*", re.IGNORECASE)
"""Matches an answer that only says that the caller hangs up."""
_OTHERS = re.compile(
    r"(?:^|\n)[\s*_#>-]*(?:voice )?(?:agent|assistant|ai|bot|operator|representative|system)[*_]*\s*:", re.IGNORECASE
)
_OWN = re.compile(r"^[\s*_#>-]*(?:caller|customer|user|you|me)[*_]*\s*:[*_]*", re.IGNORECASE | re.MULTILINE)
_DIRECTIONS = re.compile(
    r"\*(?=[^*\n]*[^\W\d_])[^*\n\d]{1,60}\*(?!\*)"
    r"|\[(?=[^\]\n]*[^\W\d_])[^\]\n\d]{1,60}\](?!\()"
    r"|\((?=[^)\n]*[^\W\d_])[^)\n\d]{1,60}\)"
)
"""Matches *sighs*, [pauses] and (to herself), but not the (415) of a telephone number."""
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")


def spoken_words(text: str) -> str:
    """Return the words of a model's text that the caller is to speak; an empty text if there are none."""
    own = _OTHERS.split(text, maxsplit=1)[0]
    if not own.strip() and (label := _OWN.search(text)):
        # The model began with a line of the agent, so search from the caller's label on.
        own = _OTHERS.split(text[label.start() :], maxsplit=1)[0]
    own = _DIRECTIONS.sub(" ", _BOLD.sub(r"\1", _OWN.sub("", own)))
    return _bounded(" ".join(speakable(own).split()).strip('"“” '))


def _bounded(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    short = text[:MOST_CHARACTERS]
    end = max(short.rfind(mark) for mark in ".?!")
    return short[: end + 1] if end > 0 else short.rsplit(" ", 1)[0]
