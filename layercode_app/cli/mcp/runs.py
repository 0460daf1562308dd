"""Run scenarios and forks for an assistant, one at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ...exceptions import ConfigurationError
from ...journal.read import turns_of
from ...journal.record import Json
from ...journal.record_json import from_json, to_json
from ...journal.stores.base import Store
from ...replay.fork import Changes
from ...replay.open_fork import fork_recorded
from ...settings import Settings
from ..eval.session import play
from .bounded import ANSWER_BYTES, fitted, page
from .masked import Masked

_ONE_AT_A_TIME = asyncio.Lock()


async def run_scenarios(
    file: str, scenario: str, *, agents: Path | None, model: str | None, repeat: int, max_cost: float
) -> Json:
    """Play all scenarios of a file in the project, or only the scenario named `scenario`.

    Raises ConfigurationError if the file or the scenario does not exist.
    """
    from ...testing.evals.eval_report import summary
    from ...testing.evals.scenario import load

    loaded = load(_inside(Path(file)))
    if scenario:
        chosen = [one for one in loaded.scenarios if one.name == scenario]
        if not chosen:
            names = ", ".join(repr(one.name) for one in loaded.scenarios)
            raise ConfigurationError(f"{file} has no scenario {scenario!r}; expected one of {names}.")
        loaded = loaded.model_copy(update={"scenarios": chosen})

    def work() -> tuple[list[Any], int]:
        return play([loaded], agents=agents, models=[model] if model else None, repeat=repeat, concurrency=4,
                    judge=None, judges=(), caller_model=None, seed=0, resume=False, max_cost=max_cost)  # fmt: skip

    async with _ONE_AT_A_TIME:
        played, skipped = await asyncio.to_thread(work)
    masked = Masked([])
    runs = from_json(to_json([one.to_json() for one in sorted(played, key=lambda one: one.passed)]))
    answer: dict[str, Json] = {
        "ok": bool(played) and not skipped and all(one.passed for one in played),
        "not_played": skipped,
        "summary": fitted(masked.value(from_json(to_json(summary(played))))),
    }
    told = page([masked.row(run) for run in runs], offset=0, more=False, most=ANSWER_BYTES // 2)
    answer["runs"] = told["rows"]
    if len(told["rows"]) < len(runs):
        answer["more"] = (
            f"Only the first {len(told['rows'])} of {len(runs)} runs are shown, failed runs first. To see every run, "
            f"call this tool for one scenario at a time, or use `eval {file} --html PAGE.html`."
        )
    return answer


def _inside(path: Path) -> Path:
    """Return the path if it is inside the current folder. Raises ConfigurationError if it is outside."""
    try:
        whole = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"{str(path)!r} is not the path of a file: {error}.") from error
    if not whole.is_relative_to(Path.cwd().resolve()):
        raise ConfigurationError(f"{str(path)!r} is outside of the project; expected a file in the server's folder.")
    return path


async def fork_conversation(
    journal: Store, conversation_id: str, turn: str, changes: Changes, *, settings: Settings, agents: Path | None
) -> Json:
    """Fork a conversation at a turn, and return the old and new turns, masked. Tools return recorded results."""
    turns = await turns_of(journal, conversation_id, bodies=True)
    async with _ONE_AT_A_TIME:
        forked = await fork_recorded(
            conversation_id,
            at=int(turn) if turn.isdecimal() else turn,
            changes=changes,
            settings=settings,
            agents_dir=agents,
        )
    masked = Masked([*turns, *(pair.new for pair in forked.pairs)])
    told = from_json(to_json(forked.to_json()))
    pairs = [
        {side: masked.row(pair[side]) if pair[side] else None for side in ("old", "new")} for pair in told["turns"]
    ]
    shown = page(pairs, offset=0, more=False)
    answer = masked.row(told | {"turns": []}) | {"turns": shown["rows"]}
    if len(shown["rows"]) < len(pairs):
        answer["more"] = (
            f"{len(pairs)} turns were answered, too many to show here. Fork with fewer texts in `say` to see each turn."
        )
    return answer
