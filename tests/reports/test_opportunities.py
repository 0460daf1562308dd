"""A report derives its advice on models and prompts from the model requests of each turn."""

from __future__ import annotations

from layercode_app.journal.record import Kind, ModelCall, Status, TurnRecord
from layercode_app.reports.opportunities import LEAST_TURNS, Opportunity, Sightings


def request(model: str, tokens: int, cost: float, stage: str = "") -> ModelCall:
    usage = {"requests": 1, "input_tokens": tokens, "output_tokens": 10, "unpriced_requests": 0}
    return ModelCall(model, 1.0, 2.0, 3.0, "done", stage, usage, cost)


def add(sightings: Sightings, agent: str, *requests: ModelCall) -> None:
    """Add some turns of an agent, each with these requests. The model of the first request is the turn's model."""
    for number in range(LEAST_TURNS):
        turn = TurnRecord("c", f"t{number}", Kind.MESSAGE, agent, status=Status.COMPLETE, model=requests[0].model)
        turn.requests = list(requests)
        for each in requests:
            turn.cost = (turn.cost or 0.0) + (each.cost or 0.0)
            for name, amount in each.usage.items():
                turn.usage[name] = turn.usage.get(name, 0) + amount
        sightings.add(turn)


def found(sightings: Sightings, kind: str) -> dict[str, Opportunity]:
    return {each.where: each for each in sightings.opportunities({}) if each.kind == kind}


def test_an_agent_is_never_told_to_try_its_own_model() -> None:
    sightings = Sightings()
    add(sightings, "long", request("mini", 9000, 0.04))
    add(sightings, "short", request("mini", 500, 0.01))
    assert found(sightings, "expensive models") == {}
    add(sightings, "other", request("nano", 500, 0.011))
    expensive = found(sightings, "expensive models")
    assert list(expensive) == ["long on mini"]
    assert "nano costs $0.0110 a turn with the agent other" in expensive["long on mini"].measured


def test_the_request_of_a_guard_is_not_the_price_of_a_turn() -> None:
    sightings = Sightings()
    add(sightings, "guarded", request("large", 1500, 0.05), request("nano", 100, 0.00001, "guard"))
    add(sightings, "plain", request("mini", 1500, 0.02))
    assert found(sightings, "expensive models") == {}
    add(sightings, "small", request("nano", 1500, 0.001), request("large", 100, 0.01, "guard"))
    expensive = found(sightings, "expensive models")
    assert sorted(expensive) == ["guarded on large", "plain on mini"]
    assert "$0.0500 a turn over 5 turns; nano costs $0.0010" in expensive["guarded on large"].measured


def test_the_longest_prompt_is_that_of_one_request() -> None:
    sightings = Sightings()
    add(sightings, "mixed", request("large", 600, 0.05), request("large", 11_400, 0.05))
    measured = found(sightings, "long histories")["mixed on large"].measured
    assert measured == "up to 11,400 prompt tokens per request, mean 6,000"
