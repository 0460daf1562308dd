"""Check the answer to a turn: Server-Sent Events that can be spoken as they arrive."""

from __future__ import annotations

from ...journal.record import END, TTS
from .limits import FailedError, SkippedError
from .model import check
from .probe import Probe

GROUP = "frames"
BUFFERED_MS, AT_ONCE_MS, FRAMES = 150.0, 10.0, 4
MANGLED = ("Ã¼", "Ã©", "ä½", "ðŸ", "\ufffd")
"""UTF-8 text as it looks after decoding with another encoding."""


@check(
    "frames.content-type",
    "the answer is text/event-stream",
    why="the platform does not speak an answer of another content type",
    fix="Send Content-Type: text/event-stream.",
)
async def content_type(probe: Probe) -> None:
    """Check the Content-Type of the sample answer."""
    sample = await probe.sample()
    if not sample.is_stream:
        raise FailedError(f"expected Content-Type: text/event-stream, got {sample.headers.get('content-type')!r}")


@check(
    "frames.form",
    "each event is one line `data: {json}`, followed by a blank line",
    why="clients lose events that are not separated by a blank line, or that are split over several lines",
    fix="Write `data: `, compact JSON and two newlines.",
)
async def form(probe: Probe) -> None:
    """Check every byte of the sample answer."""
    sample = await probe.sample()
    if sample.malformed:
        raise FailedError(sample.malformed[0])
    sample.needs_stream()


@check(
    "frames.types",
    "every event has a known type, and speech is text",
    why="the platform drops events of unknown types, and cannot speak content that is not text",
    fix="Send response.tts with a string as content, response.data, and response.end.",
)
async def types(probe: Probe) -> None:
    """Check the type and content of every event in the sample answer."""
    for frame in (await probe.sample()).needs_stream().frames:
        if not frame.type.startswith("response."):
            raise FailedError(f"expected a type such as response.tts, got {frame.payload!r}")
        if frame.type == TTS and not isinstance(frame.content, str):
            raise FailedError(f"expected text as the content of response.tts, got {frame.content!r}")


@check(
    "frames.turn-id",
    "every event carries the turn_id of its request",
    why="the platform drops speech that has the turn_id of another turn, and the caller hears silence",
    fix="Copy turn_id from the request into every event, including response.end.",
)
async def turn_id(probe: Probe) -> None:
    """Check the turn id of every event in the sample answer."""
    sample = (await probe.sample()).needs_stream()
    for frame in sample.frames:
        if frame.turn_id != probe.sample_turn_id:
            raise FailedError(f"expected turn_id {probe.sample_turn_id!r} in {frame.type}, got {frame.turn_id!r}")


@check(
    "frames.end",
    "response.end is sent exactly once",
    why="without response.end the turn never ends for the caller; a second response.end ends the next turn",
    fix="Send response.end in one place, in a `finally` block.",
)
async def end(probe: Probe) -> None:
    """Count the `response.end` events in the sample answer."""
    count = [frame.type for frame in (await probe.sample()).needs_stream().frames].count(END)
    if count != 1:
        raise FailedError(f"expected response.end once, got it {count} times")


@check(
    "frames.end-last",
    "response.end is the last event",
    why="the platform does not speak text that comes after response.end",
    fix="Send response.end only after every task that speaks has finished.",
)
async def end_last(probe: Probe) -> None:
    """Check that no event follows `response.end` in the sample answer."""
    types = [frame.type for frame in (await probe.sample()).needs_stream().frames]
    if END in types and types[-1] != END:
        raise FailedError(f"{types[types.index(END) + 1]} came after response.end")


@check(
    "frames.streams",
    "speech is streamed as it is generated",
    why="otherwise the caller hears nothing until the whole reply is generated",
    fix="Flush every event. Look for a middleware, compression or proxy that buffers the answer.",
)
async def streams(probe: Probe) -> None:
    """Fail if the answer has a Content-Length or is compressed, or if all speech arrives together after a delay."""
    sample = (await probe.sample()).needs_stream()
    if "content-length" in sample.headers:
        raise FailedError("the answer has a Content-Length, so it was complete before it was sent")
    # The platform's SDK for Node sends "none". That is not a valid coding, but the answer is not compressed.
    if sample.headers.get("content-encoding", "identity") not in ("identity", "none"):
        raise FailedError(f"the answer is compressed ({sample.headers['content-encoding']}), which buffers it")
    spoken = [frame.at_ms for frame in sample.frames if frame.type == TTS]
    if len(spoken) >= FRAMES and spoken[0] >= BUFFERED_MS and sample.frames[-1].at_ms - spoken[0] <= AT_ONCE_MS:
        raise FailedError(f"{len(spoken)} pieces arrived together, after {spoken[0]:.0f} ms")


@check(
    "frames.no-buffering",
    "headers keep proxies from buffering",
    why="behind a buffering proxy the caller hears nothing until the whole reply is generated",
    fix="Send Cache-Control: no-cache, no-transform and X-Accel-Buffering: no.",
    severity="warning",
)
async def no_buffering(probe: Probe) -> None:
    """Check two headers: one for caches and compression, one for nginx and similar proxies."""
    headers = (await probe.sample()).needs_stream().headers
    if "no-cache" not in headers.get("cache-control", ""):
        raise FailedError(f"expected Cache-Control: no-cache, no-transform, got {headers.get('cache-control')!r}")
    if headers.get("x-accel-buffering") != "no":
        raise FailedError(f"expected X-Accel-Buffering: no, got {headers.get('x-accel-buffering')!r}")


@check(
    "frames.unicode",
    "non-ASCII text is understood and spoken",
    why="most languages need characters beyond ASCII",
    fix="Read the body as UTF-8, and write UTF-8 or \\u escapes.",
)
async def unicode(probe: Probe) -> None:
    """Check that the reply holds no wrongly decoded UTF-8."""
    exchange = await probe.talk().say("Say this again, please: Grüße, 你好, 🎉, é")
    spoken = exchange.needs_whole_turn().spoken
    for mark in MANGLED:
        if mark in spoken:
            raise FailedError(f"the reply holds {mark!r}, which is wrongly decoded UTF-8: {spoken[:120]!r}")


@check(
    "frames.speed",
    "speech begins soon",
    why="after more than 800 ms callers begin to wonder whether the line is dead",
    fix="Stream the model's first token, shorten the prompt, speak a filler, or raise --max-ttfs.",
    severity="warning",
)
async def speed(probe: Probe) -> None:
    """Measure the median TTFS of five turns of one conversation."""
    talk = probe.talk()
    times = [(await talk.say(f"Tell me something, number {n}.")).needs_stream().ttfs for n in range(1, 6)]
    heard = sorted(time for time in times if time is not None)
    if not heard:
        raise SkippedError("nothing was spoken")
    if (median := heard[len(heard) // 2]) > probe.limits.max_ttfs:
        raise FailedError(
            f"expected first speech within {probe.limits.max_ttfs:.0f} ms, got it after {median:.0f} ms (median of 5)"
        )
