"""Read keys from the terminal, and take text that arrives at once as one paste."""

from __future__ import annotations

from itertools import groupby

from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

FEWEST_PASTED = 16
"""Minimum characters of a paste; fewer are handled key by key."""


class Keyboard(Vt100Input):
    """The keys of a terminal. Each key costs half a millisecond, and terminals without bracketed paste send thousands."""

    def read_keys(self) -> list[KeyPress]:
        """Return the keys, with each long run of characters as one paste."""
        keys: list[KeyPress] = []
        for is_text, run in groupby(super().read_keys(), _is_text):
            pressed = list(run)
            if is_text and len(pressed) >= FEWEST_PASTED:
                pressed = [KeyPress(Keys.BracketedPaste, "".join(one.data for one in pressed))]
            keys += pressed
        return keys


def _is_text(pressed: KeyPress) -> bool:
    return not isinstance(pressed.key, Keys) and pressed.key == pressed.data
