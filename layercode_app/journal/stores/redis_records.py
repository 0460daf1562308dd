"""The names of the Redis journal's keys, and the records in its replies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from ..record import Json, Status, TurnRecord
from ..record_json import from_json, load_record, to_json
from . import redis_scripts as lua
from .base import counts_json, tokens_of
from .history_steps import first_of
from .redis_link import Command


@lru_cache(maxsize=4096)
def keys_of(conversation_id: str) -> list[str]:
    """Return the names of the keys that hold a conversation, in the order of `redis_scripts.PARTS`."""
    # Quote the id: a brace in it would end the hash tag early.
    tag = quote(conversation_id, safe="") or "%"
    return [f"layercode:{{{tag}}}:{part}" for part in lua.PARTS]


def count_commands(keys: list[str]) -> tuple[Command, Command]:
    """Return the commands that read how many turns a conversation has, and when its first turn began."""
    return ("ZCARD", keys[5]), ("HGET", keys[8], "started_at")


def meta_of(turn: list[bytes]) -> list[str]:
    """Return the words of a turn's meta; see `redis_scripts`."""
    return turn[0].decode().split(" ")


def load(turn: list[bytes]) -> TurnRecord:
    """Decode a turn. Its status, owner, attempt and position are in its meta."""
    status, owner, attempt, position, *_ = meta_of(turn)
    record = load_record(turn[1], position=int(position), messages=turn[2], frames=turn[3])
    record.status, record.owner, record.attempt = Status(status), owner, int(attempt)
    return record


def fitting(newest_first: list[list[bytes]], tokens: int) -> list[TurnRecord]:
    """Return the newest turns that fit the token budget, at least one, in the order in which they began."""
    chosen: list[TurnRecord] = []
    sizes: list[int] = []
    for turn in newest_first:
        record, counted = load(turn), int(meta_of(turn)[4])
        size = tokens_of(record) if counts_json(counted, record.messages) else counted
        if sum(sizes) + size > tokens and chosen:
            break
        chosen.append(record)
        sizes.append(size)
    starts = [record.history_start for record in chosen]
    oldest_first = chosen[::-1]
    return oldest_first[first_of([record.position for record in oldest_first], sizes[::-1], starts, tokens) :]


def triples(values: dict[str, Json], based_on: Mapping[str, Json] | None = None) -> list[str | bytes]:
    """Return each name, its encoded value, and the encoded value that it is based on, one after the other."""
    return [part for name, value in values.items() for part in (name, to_json(value), _before(name, based_on))]


def _before(name: str, based_on: Mapping[str, Json] | None) -> str | bytes:
    if based_on is None:
        return lua.ANY
    return to_json(based_on[name]) if name in based_on else b""


def fields(flat: list[bytes] | dict[bytes, bytes]) -> dict[str, Json]:
    """Decode the fields of a hash."""
    pairs = flat.items() if isinstance(flat, dict) else two_by_two(flat)
    return {name.decode(): from_json(value) for name, value in pairs}


def two_by_two(flat: list[Any]) -> list[tuple[Any, Any]]:
    """Return the pairs of a flat reply. Newer protocol versions reply with pairs already."""
    if flat and isinstance(flat[0], tuple):
        return flat
    return list(zip(flat[::2], flat[1::2], strict=True))
