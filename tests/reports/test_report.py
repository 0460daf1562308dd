"""The report on the journal of an app that took real calls."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode
from layercode_app.exceptions import ConfigurationError
from layercode_app.journal.record import CHECKED, Kind, Status, TurnRecord
from layercode_app.reports.report import Report, beginning, make_report
from layercode_app.reports.report_page import as_html
from layercode_app.reports.tally import Tally
from layercode_app.reports.text import as_text
from layercode_app.watch.metrics import METRICS

from ..calling import calling, settings
from ..priced import priced_agent

pytestmark = pytest.mark.anyio


async def take_calls(app: LayerCode) -> None:
    """Make two conversations.

    The first has a greeting, a booking, a failure, an interruption and a score. The second has one question.
    """
    async with calling(app) as caller:
        await caller.send({"type": "session.start", "turn_id": "g"})
        await caller.say("book a table", turn_id="t1")
        await caller.say("fail", turn_id="t2")
        await caller.interrupt("hang", turn_id="t3", by="hello", by_turn_id="t4")
        await caller.send({"type": "data", "turn_id": "x", "data": {"feedback": {"turn_id": "t1", "score": True}}})
        caller.conversation_id = "other"
        await caller.say("hello", turn_id="t5")


async def report_of(app: LayerCode, **how: Any) -> Report:
    await app.store.open()
    try:
        return await make_report(app.store, **how)
    finally:
        await app.store.close()


@pytest.fixture
async def app(tmp_path: Path) -> LayerCode:
    app = LayerCode(priced_agent(), settings=settings(tmp_path))
    await take_calls(app)
    return app


async def test_the_total_counts_each_turn_once_and_interrupted_ones_apart(app: LayerCode) -> None:
    total = (await report_of(app)).total
    assert (total.turns, len(total.conversations)) == (6, 2)
    assert (total.interrupted, total.failed, total.tool_calls) == (1, 1, 1)
    assert dict(total.errors) == {"internal": 1}
    assert dict(total.impacts) == {"apology": 1}
    counts = {part: len(times) for (metric, part), times in total.latencies.items() if metric == "ttfs"}
    assert counts == {"greetings": 1, "all": 3, "first": 2, "with tools": 1, "without tools": 2, "interrupted": 1}
    assert (total.success_rate, total.as_json()["success_rate"]) == (0.5, 0.5)
    assert total.outcomes["booked"].count == 1
    assert total.outcomes["booked"].value == 30.0
    assert list(total.scores["feedback"].numbers) == [1.0]


async def test_costs_are_the_models_and_a_cut_request_is_unknown_and_not_zero(app: LayerCode) -> None:
    report = await report_of(app, by="conversation")
    other = report.groups["other"]
    assert other.cost.unknown == 0
    assert 1e-6 < other.cost.amount < 1e-3
    # Two requests have no token counts, because one was cut off and the other failed.
    assert report.total.cost.unknown == 2
    assert "at least $" in str(report.total.cost)
    assert report.as_json()["total"]["unknown_cost_requests"] == 2


async def test_an_empty_journal_has_a_report_in_every_form(tmp_path: Path) -> None:
    report = await report_of(LayerCode(priced_agent(), settings=settings(tmp_path)))
    assert "There are no turns in this period" in as_text(report)
    total = json.loads(json.dumps(report.as_json()))["total"]
    assert (total["turns"], total["success_rate"]) == (0, None)
    assert "There are no turns in this period" in as_html(report)


async def test_numbers_that_older_versions_saved_as_text_or_null_are_counted() -> None:
    tally = Tally("total")
    outcomes = [{"name": "booked", "value": value} for value in (30.0, "42.00", "?", "Infinity", None)]
    for amount in (1, "4.80", None):
        counts: Any = {"euros": amount}
        tally.add(TurnRecord("c", "t", Kind.MESSAGE, "a", status=Status.COMPLETE, outcomes=outcomes, counts=counts))
    assert tally.as_json()["outcomes"]["booked"]["value"] == 216.0
    assert tally.as_json()["counts"] == {"euros": 5.8}


async def test_the_mean_of_the_largest_scores_is_a_number() -> None:
    tally = Tally("total")
    for _ in range(4):
        tally.add(
            TurnRecord("c", "t", Kind.MESSAGE, "a", status=Status.COMPLETE, scores={"feedback": {"value": 1e308}})
        )
    assert tally.as_json()["scores"]["feedback"]["mean"] == pytest.approx(1e308)


async def test_agents_without_outcomes_have_no_success_rate(app: LayerCode) -> None:
    groups = (await report_of(app, by="conversation")).groups
    rates = {key: group.as_json()["success_rate"] for key, group in groups.items()}
    assert rates.pop("other") is None
    assert [*rates.values()] == [1.0]
    read = METRICS["success_rate"].read
    assert [read(group, "") for group in groups.values()].count(None) == 1


async def test_a_model_without_a_price_has_an_unknown_cost(tmp_path: Path) -> None:
    app = LayerCode(priced_agent(model="made-up"), settings=settings(tmp_path))
    async with calling(app) as caller:
        await caller.say("hello")
    report = await report_of(app, by="model")
    assert str(report.groups["made-up"].cost) == "unknown"
    assert report.as_json()["groups"][0]["cost"] is None
    assert "unknown" in as_text(report)


async def test_tools_have_times_and_the_cost_of_what_their_results_led_to(app: LayerCode) -> None:
    report = await report_of(app, by="tool")
    tools = {tool.key: tool for tool in report.tools}
    assert (tools["book"].times, tools["book"].failed, tools["book"].requests) == (1, 0, 1)
    assert tools["book"].cost.amount > 0
    assert tools["(no tool)"].requests >= 3
    total = sum(tool.cost.amount for tool in report.tools)
    assert total == pytest.approx(report.total.cost.amount)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("agent", ["priced"]),
        ("model", ["(no model)", "gpt-5-mini"]),
        ("day", [time.strftime("%Y-%m-%d", time.gmtime())]),
        ("month", [time.strftime("%Y-%m", time.gmtime())]),
    ],
)
async def test_groups(app: LayerCode, by: Any, keys: list[str]) -> None:
    report = await report_of(app, by=by)
    assert list(report.groups) == keys
    assert sum(tally.turns for tally in report.groups.values()) == report.total.turns


async def test_versions_tell_two_agents_of_one_name_apart(tmp_path: Path) -> None:
    apps = [LayerCode(priced_agent(model=model), settings=settings(tmp_path)) for model in ("gpt-5-mini", "gpt-5-nano")]
    for app in apps:
        async with calling(app) as caller:
            await caller.say("hello")
    versions = list((await report_of(apps[-1], by="version")).groups)
    assert len(versions) == 2
    assert {version.split()[2] for version in versions} == {"gpt-5-mini", "gpt-5-nano"}
    assert len({version.split()[1] for version in versions}) == 2


async def test_usage_outlives_the_conversations_and_holds_no_id(app: LayerCode) -> None:
    await app.store.open()
    before = (await make_report(app.store)).total
    await app.store.forget("other")
    report = await make_report(app.store)
    kept = await app.store.totals("")
    await app.store.close()

    [gone] = report.forgotten.values()
    assert gone["turns"] == 1
    assert gone["cost"] == pytest.approx(before.cost.amount - report.total.cost.amount)
    assert "other" not in json.dumps(kept)
    assert "t5" not in json.dumps(kept)
    assert "Deleted turns" in as_text(report)


async def test_deleted_usage_is_exactly_that_of_the_deleted_calls(tmp_path: Path) -> None:
    app = LayerCode(priced_agent(), settings=settings(tmp_path))
    async with calling(app) as caller:
        for conversation_id in ("stays", f"{CHECKED}1", "goes"):
            caller.conversation_id = conversation_id
            await caller.say("book a table", turn_id="t1")
            await caller.say("fail", turn_id="t2")
    await app.store.open()
    assert (await make_report(app.store)).forgotten == {}, "nothing was deleted"
    await app.store.forget("goes")
    [gone] = (await make_report(app.store)).forgotten.values()
    await app.store.close()
    names = ("turns", "failed", "tool_calls", "requests", "unknown_cost_requests")
    assert {name: gone.get(name) for name in names} == {
        "turns": 2, "failed": 1, "tool_calls": 1, "requests": 3, "unknown_cost_requests": 1,
    }  # fmt: skip


async def test_turns_that_a_wrong_clock_dated_do_not_inflate_the_report(tmp_path: Path) -> None:
    app = LayerCode(priced_agent(), settings=settings(tmp_path))
    await app.store.open()
    now = time.time()
    for number, started in enumerate((5.0, now - 4 * 86_400, now - 2 * 86_400, now + 7200, 4_102_444_800.0)):
        record = TurnRecord("c", f"t{number}", Kind.MESSAGE, "priced", started_at=started)
        await app.store.begin(record, history_tokens=0)
        record.status = Status.COMPLETE
        await app.store.save(record)
    await app.store.close()
    report = await report_of(app)
    assert report.total.turns == 3
    assert [tally.turns for tally in report.days.values()] == [1, 1, 0, 1]
    assert list(report.days) == sorted(report.days)
    assert report.forgotten == {}


async def test_a_later_answer_is_not_the_first_of_a_conversation_that_began_before_the_period(tmp_path: Path) -> None:
    app = LayerCode(priced_agent(), settings=settings(tmp_path))
    await app.store.open()
    now, positions = time.time(), dict[str, int]()
    # `known` says whether the record knows where its history starts. Turns that a server ran know it, but turns of a
    # copied journal do not.
    for call, ago, known in (
        ("known", 7200, True), ("unknown", 7200, False), ("known", 50, True), ("unknown", 50, False), ("known", 40, True),
        ("greeted", 30, True), ("greeted", 20, True), ("new", 10, False), ("new", 5, False),
    ):  # fmt: skip
        kind = Kind.GREETING if (call, ago) == ("greeted", 30) else Kind.MESSAGE
        record = TurnRecord(call, f"{call}-{ago}", kind, "priced", started_at=now - ago)
        record.history_start = positions.get(call, 0) if known else 0
        record = (await app.store.begin(record, history_tokens=0)).record
        positions.setdefault(call, record.position)
        record.status, record.timings = Status.COMPLETE, {"ttfs": float(ago)}
        await app.store.save(record)
    await app.store.close()
    assert sorted((await report_of(app, since=now - 3600)).total.latencies["ttfs", "first"]) == [10.0, 20.0]
    assert sorted((await report_of(app)).total.latencies["ttfs", "first"]) == [10.0, 20.0, 7200.0, 7200.0]


async def test_opportunities_come_with_their_figures(tmp_path: Path) -> None:
    app = LayerCode(priced_agent(), settings=settings(tmp_path))
    await app.store.open()
    for number in range(6):
        for model, cost in (("expensive", 0.05), ("cheap", 0.001)):
            record = TurnRecord("c", f"{model}-{number}", Kind.MESSAGE, "priced", started_at=time.time())
            await app.store.begin(record, history_tokens=0)
            record.status, record.model, record.cost = Status.COMPLETE, model, cost
            record.usage = {"requests": 1, "input_tokens": 5000, "output_tokens": 10, "unpriced_requests": 0}
            await app.store.save(record)
    await app.store.close()
    found = {(each.kind, each.where): each for each in (await report_of(app)).opportunities}
    assert ("uncached prompts", "priced on expensive") in found
    assert ("long histories", "priced on cheap") in found
    assert (
        "$0.0500 a turn over 6 turns; cheap costs $0.0010" in found["expensive models", "priced on expensive"].measured
    )


async def test_a_changing_prefix_is_an_opportunity_that_names_a_call(tmp_path: Path) -> None:
    app = LayerCode(priced_agent(), settings=settings(tmp_path))
    await app.store.open()
    for number in range(10):
        record = TurnRecord(f"call-{number // 8}", f"t{number}", Kind.MESSAGE, "priced", started_at=time.time())
        await app.store.begin(record, history_tokens=0)
        record.status, record.model, record.history_start = Status.COMPLETE, "m", 1
        record.prompt = {"instructions": str(number), "tools": ""}
        record.prompt_changes = ["instructions"] + (["history"] if number == 9 else [])
        await app.store.save(record)
    await app.store.close()
    (found,) = [each for each in (await report_of(app)).opportunities if each.kind == "changing prefixes"]
    assert found.where == "priced on m"
    expected = "instructions changed in 10 of 10 turns that had a history, most often (8) in conversation call-0"
    assert found.measured == expected
    assert "on_change='append'" in found.advice


async def test_the_page_is_self_contained_and_escapes_names(app: LayerCode) -> None:
    await app.store.open()
    record = TurnRecord("c<script>", "x", Kind.MESSAGE, "<script>alert(1)</script>", started_at=time.time() - 90_000)
    await app.store.begin(record, history_tokens=0)
    record.status, record.timings = Status.COMPLETE, {"ttfs": 100.0, "total": 200.0}
    await app.store.save(record)
    await app.store.close()
    page = as_html(await report_of(app))
    assert page.count("<svg") == 5
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http://" not in page
    assert "https://" not in page


def test_since_is_a_span_or_a_day() -> None:
    assert beginning("2026-01-31") == 1769817600.0
    assert abs(beginning("2h") - (time.time() - 7200)) < 5
    assert beginning("") == beginning("all") == beginning("99999999999d") == beginning("0001-01-01") == 0.0


@pytest.mark.parametrize("since", ["2026-13-01", "yesterday", "٣d", "-3d", "1e9d"])
def test_a_wrong_since_is_named(since: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--since '{since}': expected a duration such as 24h or 7d, or a day"):
        beginning(since)
