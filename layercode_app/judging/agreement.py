"""Measure how well a judge agrees with people: the share of equal answers, and Cohen's kappa."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError, field_validator

from ..exceptions import ConfigurationError
from .judge import WHOLE_CALL, Judge
from .kappa import agreement_of
from .stock import ALL, questions

Answer = Literal["yes", "no", "maybe"]
EXAMPLE = '{"judge": "polite", "transcript": "caller: …", "label": "yes"}'


class Label(BaseModel):
    """A person's answer about one call (`label`), and the judge's `answer`, which is None until the judge is asked."""

    judge: str
    transcript: str = ""
    label: Answer
    answer: Answer | None = None

    @field_validator("judge")
    @classmethod
    def _is_one(cls, judge: str) -> str:
        if judge == ALL:
            raise ValueError(f"{judge!r} names all judges; expected the name of one judge, or a question")
        return judge


def read_labels(path: Path) -> list[Label]:
    """Read a file with one label a line.

    Raises ConfigurationError if the file cannot be read, has no labels, or has an invalid line. The error names this
    line.
    """
    try:
        # Do not use `splitlines`: it also splits at characters such as U+2028, which JSON may contain unescaped.
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; expected a file with one label a line.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error}. Save the file as UTF-8.") from error
    found = [_label(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ConfigurationError(
            f"{path}: the file has no labels; expected one label per line, as JSON such as {EXAMPLE}."
        )
    return found


def _label(path: Path, number: int, line: str) -> Label:
    try:
        return Label.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigurationError(
            f"{path}:{number}: {'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}; expected JSON such as "
            f"{EXAMPLE}."
        ) from error


async def answered(labels: Sequence[Label], judge: Judge | None, concurrency: int) -> list[Label]:
    """Return the labels with the judge's answers. A label that has an answer keeps it.

    Raises ConfigurationError if an answer is missing and `judge` is None, and JudgeError if the judge gives no answer.
    """
    if judge is None and any(label.answer is None for label in labels):
        raise ConfigurationError(
            "At least one label has no `answer`, so a judge must answer. Name the judge's model with --judge."
        )
    places = asyncio.Semaphore(concurrency)

    async def ask(label: Label) -> Label:
        if label.answer is not None or judge is None:
            return label
        async with places:
            [question] = questions([label.judge]).values()
            verdict = await judge(WHOLE_CALL + question, label.transcript)
        return label.model_copy(update={"answer": verdict.answer})

    return list(await asyncio.gather(*map(ask, labels)))


def agreement(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Return for each judge how often its answer equals the person's label, and Cohen's kappa.

    A kappa of 1 is perfect agreement; 0 is no better than chance.
    """
    found = []
    for name in dict.fromkeys(label.judge for label in labels):
        pairs = [(label.label, str(label.answer)) for label in labels if label.judge == name]
        found.append({"judge": name, "labels": len(pairs), **agreement_of(pairs)})
    return found
