"""Run `chat`: hold the conversation, and print the replies as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...emulator.caller import Reply, TextCaller
from ...emulator.webhooks import WebhookClient
from ...exceptions import DeliveryError
from ...journal.record import Status
from ...output.terminal import print_line
from ...settings import load_settings
from .interrupts import Interrupts
from .lines import Lines, open_lines
from .printed import Printed
from .webhook import ChatOptions, open_webhook

if TYPE_CHECKING:
    from ...server.app import LayerCode

__all__ = ["ChatOptions", "hold"]


async def hold(options: ChatOptions) -> int:
    """Hold the conversation and return the exit code."""
    async with open_webhook(options) as (url, secret, app), WebhookClient(url, secret) as client:
        printed = Printed(as_json=options.as_json)
        caller = TextCaller(client, conversation_id=options.conversation, hear=printed.hear)
        if options.say:
            return await _say(caller, options.say, printed, app)
        async with open_lines() as lines:
            await _talk(caller, lines, printed)
    return 0


async def _say(caller: TextCaller, texts: list[str], printed: Printed, app: LayerCode | None) -> int:
    if not printed.as_json:
        print_line((f"Conversation {caller.conversation_id}", "dim"), err=True)
    failed = False
    for text in texts:
        reply = await caller.say(text)
        printed.show(reply)
        failed |= await _failed(reply, app)
    return 1 if failed else 0


async def _failed(reply: Reply, app: LayerCode | None) -> bool:
    """Return whether a turn failed.

    With `app`, the turn's record decides. Without it, a turn counts as failed if its reply ends with an apology.
    """
    if app is not None:
        record = await app.store.get(reply.conversation_id, reply.turn_id)
        return record is None or record.status is Status.FAILED
    settings = load_settings()
    apologies = settings.apology, settings.timeout_apology, settings.tool_apology
    return reply.spoken.rstrip().endswith(apologies)


async def _talk(caller: TextCaller, lines: Lines, printed: Printed) -> None:
    """Say each line until the caller or the agent hangs up. Always end the session, also after an error."""
    print_line((f"Conversation {caller.conversation_id}. {lines.hint}", "dim"), err=True)
    with Interrupts() as interrupts:
        try:
            await _converse(caller, lines, printed, interrupts)
        except BaseException:
            await _end_after_error(caller)
            raise
        await caller.end()


async def _converse(caller: TextCaller, lines: Lines, printed: Printed, interrupts: Interrupts) -> None:
    reply = await interrupts.run(caller.greet())
    printed.show(reply)
    while not interrupts.hung_up and not (reply and reply.hangup):
        line = await interrupts.run(lines.next())
        if line is None:
            return
        if line.strip():
            reply = await interrupts.run(caller.say(line.strip()))
            printed.show(reply)


async def _end_after_error(caller: TextCaller) -> None:
    """Try to end the session. Ignore a failure, so that only the error that ended the chat is raised."""
    try:
        await caller.end()
    except DeliveryError:
        return
