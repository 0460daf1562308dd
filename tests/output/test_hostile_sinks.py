"""Hostile texts are escaped in output for other programs: metrics, messages and JUnit."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from aiosmtpd.controller import Controller
from prometheus_client.parser import text_string_to_metric_families

from layercode_app.journal.open import open_journal
from layercode_app.observability import labels
from layercode_app.observability.metrics import TOOL_CALLS, TOOL_DURATION, OTelMetrics
from layercode_app.observability.prometheus import Prometheus
from layercode_app.output.visible import visible
from layercode_app.reports.report import make_report
from layercode_app.testing.check.check_report import junit as check_junit
from layercode_app.testing.check.model import Check, Outcome, Report
from layercode_app.testing.evals.eval_report import junit as eval_junit
from layercode_app.testing.evals.run_scenarios import Played
from layercode_app.watch.channels import send_report

from ..calling import settings
from ..hostile import ALL, FAMILIES, HALF, LONG, acting, record
from ..ports import free_port
from ..priced import inbox
from ..watch.test_alerts import Mails

TEXTS = (*FAMILIES.values(), HALF, LONG, ALL)


def _tools(text: bytes) -> dict[str, float]:
    families = text_string_to_metric_families(text.decode())
    samples = [sample for family in families for sample in family.samples]
    return {sample.labels["tool"]: sample.value for sample in samples if sample.name == "layercode_tool_calls_total"}


def test_metrics_of_tools_with_hostile_names_can_be_read() -> None:
    kept = Prometheus(None)
    for text in TEXTS:
        kept.add([(TOOL_CALLS, 1, ("a", text, "done")), (TOOL_DURATION, 1, ("a", text))])
    assert acting(kept.text().decode()) == []
    assert sum(_tools(kept.text()).values()) == len(TEXTS)
    assert _tools(kept.text())[visible(FAMILIES["clipboard"])] == 1.0


def test_the_sets_of_label_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST_SETS", 10)
    kept, sent = Prometheus(None), OTelMetrics()
    for number in range(1000):
        for sink in (kept, sent):
            sink.add([(TOOL_CALLS, 1, ("a", f"tool-{number}", "done"))])
    assert len(_tools(kept.text())) == 11
    assert _tools(kept.text())["(other)"] == 990.0
    assert sent._sums[TOOL_CALLS.name]["(other)", "(other)", "(other)"] == 990.0


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_report_of_hostile_names_is_sent_as_words(tmp_path: Path) -> None:
    mails, port = Mails(), free_port()
    controller = Controller(mails, hostname="127.0.0.1", port=port)
    async with open_journal(await record(tmp_path)) as store, inbox() as box:
        address = box.url.removeprefix("http://")
        channels = {
            "chat": f"mmost://{address}/3ccdd113474722377935511fc85d3dd4",
            "web": f"json://{address}",
            "mail": f"mailto://127.0.0.1:{port}?from=app@example.com&to=ops@example.com",
        }
        controller.start()
        try:
            for by in ("conversation", "tool"):
                report = await make_report(store, by=by)
                for channel in channels:
                    await send_report(settings(tmp_path, channels=channels), channel, report)
        finally:
            controller.stop()
    sent = [body.get("text") or body["message"] for body in box.bodies] + [_words(mail) for mail in mails.received]
    assert len(sent) >= 6
    for text in sent:
        assert acting(text.replace("\r\n", "\n")) == []
        assert "@everyone" not in text
        assert "<!" not in text
        assert "](" not in text
    assert all(mail.get_all("subject", []) and not mail.get_all("bcc", []) for mail in mails.received)


def _words(mail: Any) -> str:
    part = next(part for part in mail.walk() if part.get_content_type() in ("text/plain", "text/html"))
    return str(part.get_payload(decode=True).decode())


def test_junit_can_be_read_whatever_failed() -> None:
    played = [Played(text, text, 1, failures=[text], transcript=text) for text in TEXTS]
    assert len(fromstring(eval_junit(played))) == len(TEXTS)
    check = Check("turns.name", "title", "why", "fix", _never)
    outcomes = [Outcome(check, "failed", text) for text in TEXTS]
    assert len(fromstring(check_junit(Report("http://127.0.0.1", outcomes)))) == len(TEXTS)


async def _never(probe: Any) -> None:
    raise AssertionError
