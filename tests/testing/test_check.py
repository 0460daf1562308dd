"""`check` accepts a correct webhook, such as ours with every store, and finds each planted fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from layercode_app import LayerCode, find_agent
from layercode_app.agent.offline import offline_model
from layercode_app.cli.main import app as command
from layercode_app.emulator.webhooks import WebhookClient
from layercode_app.exceptions import ConfigurationError
from layercode_app.reports.report import make_report
from layercode_app.reports.review_queue import review_queue
from layercode_app.testing.check import run_checks as run_module
from layercode_app.testing.check.check_report import junit
from layercode_app.testing.check.limits import Limits
from layercode_app.testing.check.model import Outcome, Report
from layercode_app.testing.check.probe import Probe
from layercode_app.testing.check.run_checks import chosen, run_checks

from ..broken.faults import FAULTS, bodies, events, frames, signatures, turns
from ..broken.server import SECRET, Server
from ..calling import SECRET as OUR_SECRET
from ..calling import settings
from ..journals import STORES, journal_url
from ..processes import ROOT
from ..serving import serve

pytestmark = pytest.mark.anyio

FOUND_BY: Mapping[type[Server], str] = {
    signatures.AcceptsUnsigned: "signature.missing",
    signatures.AcceptsAnySignature: "signature.wrong",
    signatures.AcceptsStale: "signature.stale",
    signatures.AcceptsFuture: "signature.future",
    signatures.VerifiesReserialised: "signature.raw-bytes",
    signatures.ReadsFirstSignatureOnly: "signature.rotation",
    signatures.ReadsLastSignatureOnly: "signature.rotation",
    signatures.CrashesOnGarbageHeader: "signature.garbage",
    signatures.CrashesOnNonAsciiHeader: "signature.non-ascii",
    signatures.ParsesBeforeVerifying: "signature.first",
    frames.WrongContentType: "frames.content-type",
    frames.Buffers: "frames.streams",
    frames.LetsProxiesBuffer: "frames.no-buffering",
    frames.ForgetsTurnId: "frames.turn-id",
    frames.InventsTurnId: "frames.turn-id",
    frames.NeverEnds: "frames.end",
    frames.EndsTwice: "frames.end",
    frames.SpeaksAfterTheEnd: "frames.end-last",
    frames.PrettyPrints: "frames.form",
    frames.ForgetsThePrefix: "frames.form",
    frames.ForgetsTheBlankLine: "signature.right",
    frames.ManglesUnicode: "frames.unicode",
    frames.SpeaksObjects: "frames.types",
    events.RefusesSessionStart: "events.session-start",
    events.RefusesWelcome: "events.welcome",
    events.StreamsTheNewerSessionStart: "events.session-start-newer",
    events.StreamsData: "events.data",
    events.RefusesDataThatIsNoObject: "events.data",
    events.CrashesOnSessionEnd: "events.session-end",
    events.RefusesSessionUpdate: "events.session-update",
    events.RefusesUnknownTypes: "events.unknown-types",
    events.RefusesUnknownFields: "events.unknown-fields",
    events.NeedsMetadata: "signature.right",
    events.NeedsWholeInterruptionContext: "events.interruption-context",
    events.RefusesLongText: "events.long-text",
    events.RefusesBlankText: "events.blank-text",
    turns.RunsDuplicates: "turns.duplicate",
    turns.RefusesDuplicates: "turns.duplicate",
    turns.Forgets: "turns.memory",
    turns.RemembersBySession: "turns.memory-over-sessions",
    turns.MixesConversations: "turns.memory",
    turns.ForgetsInterruptedTurns: "turns.interrupted",
    turns.HangsAfterAnInterruption: "turns.interrupted-early",
    turns.OneAtATime: "turns.at-once",
    turns.SharesTheTurn: "turns.apart",
    turns.SlowToSpeak: "frames.speed",
    bodies.CrashesOnNoJson: "bodies.not-json",
    bodies.CrashesOnNoUtf8: "bodies.not-utf8",
    bodies.CrashesOnAList: "bodies.not-an-object",
    bodies.AcceptsNothing: "bodies.fields",
    bodies.LeaksItsTraceback: "bodies.no-internals",
}
"""Each fault and the check that must find it."""

WAITED_OUT = (turns.OneAtATime, turns.HangsAfterAnInterruption)
"""Faults that `check` finds by a timeout: the answer does not come in time."""
SLOW = (*WAITED_OUT, turns.SlowToSpeak)
PATIENT = Limits(max_ttfs=10_000)
"""Limits for a machine that may be busy with other things."""


def failures(report: Report) -> list[tuple[str, str]]:
    return [(outcome.check.name, outcome.detail) for outcome in report.failed]


def test_every_fault_has_its_check() -> None:
    assert set(FOUND_BY) == set(FAULTS)


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=[pytest.mark.slow] if fault in SLOW else []) for fault in FOUND_BY],
    ids=lambda fault: fault.__name__,
)
async def test_a_planted_fault_is_found(fault: type[Server]) -> None:
    name = FOUND_BY[fault]
    async with serve(fault()) as url:
        report = await run_checks(url, SECRET, only=[name], limits=Limits(timeout=3 if fault in WAITED_OUT else 15))
    assert [outcome.check.name for outcome in report.failed] == [name]
    assert report.failed[0].detail


async def test_a_right_server_passes() -> None:
    async with serve(Server()) as url:
        report = await run_checks(url, SECRET, limits=PATIENT)
    assert failures(report) == []
    assert report.counts == {"passed": len(chosen()), "failed": 0, "skipped": 0}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.slow
async def test_our_server_passes_with_every_store(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = journal_url(store, request, tmp_path)
    app = LayerCode(starter := find_agent("starter", ROOT / "agents"), settings=settings(tmp_path, store=url))
    starter.use_model(offline_model(starter.script, pace=0.002))
    async with serve(app) as served:
        report = await run_checks(f"{served}/api/agent", OUR_SECRET, limits=PATIENT)
        made, queue = await make_report(app.store), await review_queue(app.store)
        recorded = await app.store.conversations(limit=1)
    assert failures(report) == []
    assert report.counts == {"passed": len(chosen()), "failed": 0, "skipped": 0}
    assert recorded
    assert (made.total.turns, queue) == (0, [])


@pytest.mark.parametrize(
    "name",
    [
        "echo",
        "bakery",
        pytest.param("concierge", marks=pytest.mark.slow),
        pytest.param("helpdesk", marks=pytest.mark.slow),
        "phone_intake",
    ],
)
async def test_what_an_agent_remembers_that_does_not_answer_cannot_be_told(name: str, tmp_path: Path) -> None:
    agent = find_agent(name, ROOT / "agents")
    asking = ["turns.memory", "turns.memory-over-sessions", "turns.interrupted"]
    if agent.agent is not None:
        agent.use_model(offline_model(agent.script, pace=0))
    app = LayerCode(agent, settings=settings(tmp_path))
    async with serve(app) as url:
        report = await run_checks(f"{url}/api/agent", OUR_SECRET, limits=PATIENT, only=asking)
    assert failures(report) == []
    skipped = [outcome.check.name for outcome in report.outcomes if outcome.status == "skipped"]
    assert skipped == asking


async def test_with_a_wrong_secret_one_check_fails_and_says_so() -> None:
    async with serve(Server()) as url:
        report = await run_checks(url, "test-another")
    assert [name for name, _ in failures(report)] == ["signature.right"]
    assert "401" in report.failed[0].detail
    assert report.counts["skipped"] == len(chosen()) - 1


async def test_the_report_is_junit_that_parses() -> None:
    async with serve(bodies.LeaksItsTraceback()) as url:
        report = await run_checks(url, SECRET, only=["bodies"])
    suite = ElementTree.fromstring(junit(report))
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["bodies.no-internals"]
    assert suite.get("tests") == str(len(report.outcomes))


async def test_the_junit_file_has_times_and_errors() -> None:
    async with serve(Server()) as url:
        report = await run_checks(url, SECRET, only=["bodies"])
    suite = ElementTree.fromstring(junit(report))
    assert (suite.get("errors"), suite.get("failures")) == ("0", "0")
    times = [float(case.get("time", "")) for case in suite]
    assert float(suite.get("time", "")) == pytest.approx(sum(times), abs=0.01)
    assert sum(times) > 0


async def test_a_webhook_that_dies_is_said_to_be_dead_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "RESTART_SECONDS", 0.01)
    server = Server()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(server))

        async def dies(probe: Probe) -> None:
            await stack.aclose()
            (await probe.talk().say("hello")).needs_stream()

        checks = [replace(check, body=dies) if check.name == "frames.form" else check for check in chosen()]
        monkeypatch.setattr(run_module, "chosen", lambda only, skip: checks)
        report = await run_checks(url, SECRET, limits=PATIENT)
    (dead,) = report.failed
    assert (dead.check.name, dead.died) == ("frames.form", True)
    assert "the webhook died" in dead.detail
    after = report.outcomes[report.outcomes.index(dead) + 1 :]
    assert {outcome.detail for outcome in after} == {"skipped, because the webhook has died"}
    assert report.fails("never")
    suite = ElementTree.fromstring(junit(report))
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    assert [case.get("name") for case in suite if case.find("error") is not None] == ["frames.form"]


async def test_a_webhook_that_restarts_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "RESTART_SECONDS", 0.01)
    async with serve(Server()) as url, WebhookClient(url, SECRET) as client:
        probe = Probe(client, PATIENT)
        probe.unreachable = True
        assert not await run_module._has_died(probe)


def report_of(*failed: str) -> Report:
    outcomes = [Outcome(check, "failed" if check.name in failed else "passed") for check in chosen()]
    return Report("http://x", outcomes)


def test_a_warning_fails_only_where_it_is_asked_to() -> None:
    slow, wrong = report_of("frames.speed"), report_of("frames.speed", "frames.end")
    assert [slow.fails(level) for level in ("warning", "error", "never")] == [True, False, False]
    assert [wrong.fails(level) for level in ("warning", "error", "never")] == [True, True, False]
    assert not report_of().fails("warning")
    severities = {check.name: check.severity for check in chosen()}
    assert severities["frames.speed"] == "warning"
    assert severities["signature.right"] == "error"


def test_the_command_fails_on_a_severity(deaf: str) -> None:
    run = CliRunner().invoke
    assert run(command, ["check", deaf, "--secret", "test", "--fail-on", "error"]).exit_code == 1
    assert run(command, ["check", deaf, "--secret", "test", "--fail-on", "never"]).exit_code == 0
    assert run(command, ["check", deaf, "--secret", "test", "--fail-on", "sometimes"]).exit_code == 2


def test_checks_are_chosen_by_name_and_group() -> None:
    names = [check.name for check in chosen(only=["turns"], skip=["turns.memory"])]
    assert names[:2] == ["signature.right", "turns.duplicate"]
    assert "turns.memory" not in names
    with pytest.raises(ConfigurationError, match=r"There is no check 'turn'; expected a group \(signature, frames"):
        chosen(only=["turn"])


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server that takes no POST."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Deaf) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api/agent"
        server.shutdown()
        thread.join()


class _Deaf(BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Log nothing."""


def test_the_command_tells_people_and_programs_and_exits_with_1(tmp_path: Path, deaf: str) -> None:
    run = CliRunner().invoke
    result = run(command, ["check", deaf, "--secret", "test", "--json", "--junit", str(tmp_path / "junit.xml")])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["ok"], report["failed"]) == (False, 1)
    assert "501" in report["checks"][0]["detail"]
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().get("failures") == "1"
    people = run(command, ["check", deaf, "--secret", "test"]).stdout
    assert "FAIL  signature.right" in people
    assert "why it matters: without it nothing else works" in people


async def test_a_request_on_a_connection_that_a_crash_closed_is_sent_again() -> None:
    """The first request is answered with a 500, and whatever follows on the same connection is lost."""
    requests = 0

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(b"{}"))
        requests += 1
        status = b"500 Internal Server Error" if requests == 1 else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\n{}")
        if requests == 1:
            await reader.read(1)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, WebhookClient(url, SECRET) as client:
        probe = Probe(client, PATIENT)
        assert (await probe.post(b"{}", {})).status == 500
        assert (await probe.post(b"{}", {})).status == 200


async def test_the_platforms_own_sdk_does_not_compress_when_it_says_so() -> None:
    server = Server()
    server.stream_headers = (*server.stream_headers, (b"content-encoding", b"none"))
    async with serve(server) as url:
        report = await run_checks(url, SECRET, only=["frames.streams"], limits=PATIENT)
    assert failures(report) == []
