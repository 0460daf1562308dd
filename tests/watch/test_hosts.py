"""Two hosts, each with two workers, use the same journal: an alert fires once, and a budget counts each turn once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.journal.stores import create_store
from layercode_app.reports.report import make_report

from ..calling import SECRET, Caller
from ..journals import SHARED, journal_url
from ..ports import free_port
from ..priced import inbox
from ..waiting import until
from .worker import AGENT, host

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

REFUSAL = "No more today."


@pytest.fixture(params=SHARED)
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


async def call(url: str, conversation: str) -> str:
    async with WebhookClient(url, SECRET) as client:
        return (await Caller(client, conversation).say("hello")).spoken


@pytest.mark.slow
async def test_an_alert_fires_once_and_a_budget_is_counted_once(tmp_path: Path, journal: str) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "priced.py").write_text(AGENT)
    async with inbox() as box:
        environment = {
            "LAYERCODE_WEBHOOK_SECRET": SECRET,
            "LAYERCODE_STORE": journal,
            "LAYERCODE_BUDGET_DAY": "500 tokens",
            "LAYERCODE_BUDGET_REFUSAL": REFUSAL,
            "LAYERCODE_ALERT_INTERVAL": "0.2",
            "LAYERCODE_CHANNELS": json.dumps({"ops": f"{box.url}/hook"}),
            "LAYERCODE_ALERTS": json.dumps(
                [{"name": "busy", "when": "turns >= 3", "window": "1h", "channels": ["ops"]}]
            ),
            "LOG_DIR": "",
            "TELEMETRY_ENABLED": "false",
        }
        first, second = free_port(), free_port()
        with host(tmp_path, first, environment) as one, host(tmp_path, second, environment) as two:
            said = [await call((one, two)[number % 2], f"call-{number}") for number in range(16)]
            await until(lambda: len(box.bodies) >= 1)
            # Long enough for every worker to have checked the alert rules.
            await asyncio.sleep(1.5)

    answered = said.index(REFUSAL)
    assert said == ["That is done."] * answered + [REFUSAL] * (16 - answered)
    assert [body["title"] for body in box.bodies] == ["[layercode-app (development)] busy fired"]
    store = create_store(journal)
    await store.open()
    report = await make_report(store)
    [counted] = [kept for key, kept in (await store.totals("usage/")).items() if key.endswith("gpt-5-mini")]
    await store.close()

    assert (report.total.turns, report.total.refused) == (16, 16 - answered)
    spent = report.total.tokens["input_tokens"] + report.total.tokens["output_tokens"]
    assert counted["turns"] == answered
    assert counted["input_tokens"] + counted["output_tokens"] == spent
    # The turn that exceeded the budget was answered, and no turn after it.
    assert spent >= 500 > spent * (answered - 1) / answered
