"""Read keys from the terminal, and treat text that arrives all at once as one paste."""

from __future__ import annotations

from itertools import groupby

from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

FEWEST_PASTED = 16
"""Minimum characters of a paste; fewer are handled key by key."""


class Keyboard(Vt100Input):
    """The keys of a terminal, with a long run of characters bundled into one paste.

    Some terminals do not mark a paste but send it key by key, and handling each key takes half a millisecond.
    """

    def read_keys(self) -> list[KeyPress]:
        """Return the keys pressed since the last call. Each long run of characters becomes one paste."""
        keys: list[KeyPress] = []
        for is_text, run in groupby(super().read_keys(), _is_text):
            pressed = list(run)
            if is_text and len(pressed) >= FEWEST_PASTED:
                pressed = [KeyPress(Keys.BracketedPaste, "".join(one.data for one in pressed))]
            keys += pressed
        return keys


def _is_text(pressed: KeyPress) -> bool:
    return not isinstance(pressed.key, Keys) and pressed.key == pressed.data
