"""A stand-in for cloudflared that prints what the real one prints, but opens no tunnel.

Its public URL is the environment variable FAKE_TUNNEL_URL, which a test sets to the server's own URL. FAKE_TUNNEL says
how it behaves: "normal"; "late": its URL comes after 2 s; "none": it prints no URL; "early": it exits before its URL;
"dies": it exits 3 s after its URL; "noise": it also prints an error and a long line that is not UTF-8; "stubborn": it
ignores SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import time

HEAD = """\
2026-01-01T00:00:00Z INF Thank you for trying Cloudflare Tunnel. Doing so, without a Cloudflare account, is a quick way
2026-01-01T00:00:00Z INF Requesting new quick Tunnel on trycloudflare.com... (https://developers.cloudflare.com/tunnel)
"""
BOX = """\
2026-01-01T00:00:01Z INF +--------------------------------------------------------------------------------------------+
2026-01-01T00:00:01Z INF |  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |
2026-01-01T00:00:01Z INF |  {url}                                              |
2026-01-01T00:00:01Z INF +--------------------------------------------------------------------------------------------+
2026-01-01T00:00:02Z INF Registered tunnel connection connIndex=0 protocol=quic
"""
NOISE = """\
2026-01-01T00:00:00Z ERR failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": try again
"""


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def main() -> None:
    parent = os.getppid()
    parent = os.getppid()
    how, url = os.environ["FAKE_TUNNEL"], os.environ["FAKE_TUNNEL_URL"]
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(HEAD)
    if how == "early":
        sys.exit(1)
    if how == "noise":
        say(NOISE)
        sys.stdout.buffer.write(b"\xff\xfe" + b"x" * 200_000 + b"\n")
        sys.stdout.flush()
    if how == "late":
        time.sleep(2)
    if how != "none":
        say(BOX.format(url=url))
    if how == "dies":
        time.sleep(3)
        say("2026-01-01T00:00:09Z ERR Lost connection with the edge\n")
        sys.exit(1)
    # The real cloudflared outlives a killed parent. This stand-in must not, because it would outlive the tests.
    while os.getppid() == parent:
        time.sleep(1)


if __name__ == "__main__":
    main()
