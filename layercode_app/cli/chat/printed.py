"""Print what the agent says, as it arrives."""

from __future__ import annotations

from ...emulator.caller import Reply
from ...emulator.webhooks import Received
from ...journal.record import DATA, TTS
from ...output.paragraph import Paragraph
from ...output.terminal import print_block, print_json, print_line
from ...output.visible import json_text


class Printed:
    """Prints replies: as text while they arrive, or as JSON when they are complete."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._reply = Paragraph()

    def hear(self, frame: Received) -> None:
        """Print the speech or the data of a frame."""
        if self.as_json:
            return
        if frame.type == TTS:
            self._reply.write(str(frame.content))
        elif frame.type == DATA:
            self._reply.end()
            print_block("  data ", json_text(frame.content), style="dim")

    def show(self, reply: Reply | None) -> None:
        """Print the end of a reply and its times. `reply` is None for an interrupted reply."""
        if reply is None:
            self._reply.end()
            print_line(("  -- interrupted", "dim"))
        elif self.as_json:
            print_json(reply.as_dict(), indent=None)
        else:
            first = "nothing was said" if reply.ttfs_ms is None else f"first speech after {reply.ttfs_ms:.0f} ms"
            self._reply.end()
            print_line((f"  {first}, complete after {reply.total_ms:.0f} ms", "dim"))
