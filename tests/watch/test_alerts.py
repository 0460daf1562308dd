"""Alerts of a real app: each fires once and recovers once. A channel that was down gets the message later."""

from __future__ import annotations

import asyncio
import os
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from layercode_app import LayerCode
from layercode_app.jobs import queue
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.watch.alerts import send_test

from .. import forked
from ..calling import calling, settings
from ..ports import free_port
from ..priced import inbox, priced_agent
from ..waiting import until

pytestmark = pytest.mark.anyio


def rule(when: str, **more: Any) -> dict[str, Any]:
    return {"name": "rule", "when": when, "window": "1h", "channels": ["ops"], **more}


def app_with(tmp_path: Path, url: str, *rules: dict[str, Any], **more: Any) -> LayerCode:
    given = {"alerts": list(rules), "channels": {"ops": url}, "alert_interval": 0.1, **more}
    return LayerCode(priced_agent(), settings=settings(tmp_path, **given))


def titles(box: Any) -> list[str]:
    return [body["title"] for body in box.bodies]


@pytest.mark.slow
async def test_an_alert_fires_once_and_recovers_once(tmp_path: Path) -> None:
    async with inbox() as box:
        app = app_with(tmp_path, box.url + "/hook", rule("error_rate > 30%", window="2s"))
        async with calling(app) as caller:
            await caller.say("fail")
            await until(lambda: len(box.bodies) == 1)
            assert titles(box) == ["[layercode-app (development)] rule fired"]
            assert box.bodies[0]["message"] == "error_rate > 30% over 2s: 100.0%."
            await asyncio.sleep(2.2)
            assert len(box.bodies) == 1, "no turn in the window is no recovery"
            await caller.say("hello")
            await until(lambda: len(box.bodies) == 2)
            assert titles(box)[1:] == ["[layercode-app (development)] rule recovered"]
            await caller.say("fail")
            await until(lambda: len(box.bodies) == 3)
    assert titles(box)[2:] == ["[layercode-app (development)] rule fired"]


async def test_what_fires_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async with inbox() as box:
        async with calling(app_with(tmp_path, box.url, rule("turns >= 1"))) as caller:
            await caller.say("hello")
            await until(lambda: len(box.bodies) == 1)
        app = app_with(tmp_path, box.url, rule("turns >= 1"), rule("tokens > 0", name="second"))
        async with calling(app):
            await until(lambda: len(box.bodies) == 2)
    assert [title.split("] ")[1] for title in titles(box)] == ["rule fired", "second fired"]


async def test_fewer_turns_than_at_least_say_nothing(tmp_path: Path) -> None:
    async with inbox() as box:
        rules = [rule("error_rate > 5%", at_least=2, name="few"), rule("turns >= 1", name="any")]
        async with calling(app_with(tmp_path, box.url, *rules)) as caller:
            await caller.say("fail")
            await until(lambda: len(box.bodies) == 1)
            await caller.say("fail")
            await until(lambda: len(box.bodies) == 2)
    assert [title.split("] ")[1] for title in titles(box)] == ["any fired", "few fired"]


async def test_a_channel_that_is_down_gets_the_message_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "RETRY_SECONDS", (0.1, 0.1, 0.1))
    async with inbox() as box:
        box.statuses = [500, 500]
        async with calling(app_with(tmp_path, box.url, rule("turns >= 1"))) as caller:
            await caller.say("hello")
            await until(lambda: len(box.bodies) == 1)
    assert box.statuses == []


async def test_bursts_of_bad_signatures_and_of_refused_authorizations_fire(tmp_path: Path) -> None:
    import httpx

    async with inbox() as box:
        rules = [rule("bad_signatures > 4", name="forged"), rule("authorize_refusals > 1", name="refused")]
        async with calling(app_with(tmp_path, box.url, *rules)) as caller, httpx.AsyncClient() as client:
            for _ in range(5):
                answer = await client.post(caller.client.url, json={}, headers={"layercode-signature": "t=1,v1=00"})
                assert answer.status_code == 401
            base = str(caller.client.url).split("/api")[0]
            for _ in range(2):
                assert (await client.post(f"{base}/api/authorize", content=b"banana")).status_code == 400
            await until(lambda: len(box.bodies) == 2)
    assert sorted(title.split("] ")[1] for title in titles(box)) == ["forged fired", "refused fired"]


async def test_a_baseline_compares_with_the_time_before(tmp_path: Path) -> None:
    import time

    async with inbox() as box:
        app = app_with(
            tmp_path, box.url, rule("tokens > 3 x baseline(7d)", name="expensive"), rule("turns >= 1", name="any")
        )
        await app.start()
        for hours in range(2, 26):
            old = TurnRecord("old", f"t{hours}", Kind.MESSAGE, "priced", started_at=time.time() - 3600 * hours)
            await app.store.begin(old, history_tokens=0)
            old.status, old.usage, old.ended_at = Status.COMPLETE, {"input_tokens": 25}, old.started_at
            await app.store.save(old)
        async with calling(app) as caller:
            await caller.say("hello")
            await until(lambda: len(box.bodies) == 1)
            await caller.say("hello")
            await until(lambda: len(box.bodies) == 2)
    assert [title.split("] ")[1] for title in titles(box)] == ["any fired", "expensive fired"]
    assert box.bodies[1]["message"].startswith("tokens > 3 x baseline(7d) over 1h: 1")


class Mails:
    def __init__(self) -> None:
        self.received: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.received.append(message_from_bytes(envelope.content))
        return "250 OK"


async def test_mail_and_web_channels_take_a_test_message_and_a_dead_one_says_so(tmp_path: Path) -> None:
    mails = Mails()
    port = free_port()
    controller = Controller(mails, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        async with inbox() as box:
            channels = {
                "web": box.url + "/hook",
                "mail": f"mailto://127.0.0.1:{port}?from=app@example.com&to=ops@example.com",
                "dead": "json://127.0.0.1:1/hook",
            }
            found = await send_test(settings(tmp_path, channels=channels, alerts=[rule("turns > 1", channels="mail")]))
    finally:
        controller.stop()

    assert found == {"web": None, "mail": None, "dead": "The channel 'dead' did not accept the message."}
    assert box.bodies[0]["message"] == "This channel works. It is used by: no rule."
    [mail] = mails.received
    assert str(make_header(decode_header(mail["subject"]))) == "[layercode-app] test"


@pytest.mark.slow
async def test_doctor_sends_a_test_and_a_wrong_rule_ends_with_2(tmp_path: Path) -> None:
    async def doctor(code: int) -> str:
        done = await asyncio.to_thread(
            forked.run, ["-m", "layercode_app", "doctor", "--alerts"], cwd=tmp_path, env=os.environ
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert "No alert channels" in await doctor(0)
    async with inbox() as box:
        (tmp_path / "layercode.toml").write_text(f'[channels]\nops = "{box.url}/hook"\n')
        assert "ops: test message sent" in await doctor(0)
        box.statuses = [500]
        assert "ops: The channel 'ops' did not accept the message." in await doctor(1)
    assert len(box.bodies) == 1
    (tmp_path / "layercode.toml").write_text('[[alerts]]\nname = "x"\nwhen = "mood > 1"\n')
    assert "LAYERCODE_ALERTS" in await doctor(2)


async def test_a_server_with_a_wrong_rule_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "layercode.toml").write_text(
        '[[alerts]]\nname = "x"\nwhen = "turns > 1"\nwindow = "1h"\nchannels = ["pager"]\n'
    )
    done = await asyncio.to_thread(
        forked.run, ["-m", "layercode_app", "run", "--agent", "echo", "--port", "0"],
        cwd=tmp_path, env={**os.environ, "LAYERCODE_WEBHOOK_SECRET": "test-secret"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "'pager', which does not exist. Existing channels: none" in done.stderr
