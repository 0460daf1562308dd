"""The tables and functions of the PostgreSQL journal, and the migrations that create them.

All of them are in the schema `layercode`. Every statement names the schema, because a connection pooler may reset the
search path. Each operation that changes a conversation calls one function, so it is sent as a single statement, and the
server caches the plans of the statements in the function.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

_LOCK = 0x6C61796572
"""The advisory lock that lets only one worker at a time migrate."""

_FIRST = """
CREATE TABLE layercode.conversations (
    conversation_id text COLLATE "C" PRIMARY KEY,
    agent text,
    started_at double precision,
    last_at double precision,
    touched_at double precision NOT NULL DEFAULT 0
);
CREATE INDEX conversations_by_last_turn ON layercode.conversations (last_at DESC);

CREATE TABLE layercode.fields (
    conversation_id text COLLATE "C" NOT NULL,
    part text NOT NULL,
    name text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (conversation_id, part, name)
);

CREATE TABLE layercode.turns (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id text COLLATE "C" NOT NULL,
    turn_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    speaking boolean NOT NULL,
    agent text NOT NULL,
    status text NOT NULL,
    owner text NOT NULL,
    attempt integer NOT NULL DEFAULT 1,
    revision integer NOT NULL DEFAULT 1,
    token text NOT NULL,
    save_token text,
    started_at double precision NOT NULL,
    tokens integer NOT NULL,
    head json NOT NULL,
    messages bytea NOT NULL,
    frames bytea NOT NULL DEFAULT '[]',
    UNIQUE (conversation_id, turn_id)
);
CREATE INDEX turns_spoken ON layercode.turns (conversation_id, position DESC) INCLUDE (tokens) WHERE speaking;
CREATE INDEX turns_by_start ON layercode.turns (started_at, position);

CREATE TABLE layercode.jobs (
    id text COLLATE "C" PRIMARY KEY,
    conversation_id text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    done_at timestamptz,
    token text NOT NULL,
    lease_token text,
    body bytea NOT NULL
);
CREATE INDEX jobs_due ON layercode.jobs (due_at) WHERE done_at IS NULL;
CREATE INDEX jobs_done ON layercode.jobs (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX jobs_leased ON layercode.jobs (lease_token) WHERE done_at IS NULL;
CREATE INDEX jobs_of ON layercode.jobs (conversation_id);

CREATE TABLE layercode.totals (
    key text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    amount double precision NOT NULL,
    PRIMARY KEY (key, name)
);
CREATE TABLE layercode.applied (
    token text PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX applied_by_time ON layercode.applied (at);

CREATE TABLE layercode.workers (owner text PRIMARY KEY, alive_until timestamptz NOT NULL);
CREATE TABLE layercode.signals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body bytea NOT NULL
);
CREATE INDEX signals_of ON layercode.signals (owner, id);

CREATE FUNCTION layercode.begin_turn(
    c text, t text, kind text, speaking boolean, agent text, owner text, token text, started_at double precision,
    tokens integer, head json, messages bytea
) RETURNS text LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    at bigint;
BEGIN
    -- The lock orders the turns of a conversation, and their positions with them.
    INSERT INTO layercode.conversations (conversation_id) VALUES (c) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM layercode.conversations WHERE conversation_id = c FOR UPDATE;
    INSERT INTO layercode.turns
        (conversation_id, turn_id, kind, speaking, agent, status, owner, token, started_at, tokens, head, messages)
    VALUES (c, t, begin_turn.kind, begin_turn.speaking, begin_turn.agent, 'running', begin_turn.owner,
        begin_turn.token, begin_turn.started_at, begin_turn.tokens, begin_turn.head, begin_turn.messages)
    ON CONFLICT (conversation_id, turn_id) DO NOTHING RETURNING position INTO at;
    IF at IS NULL THEN
        -- The same token: this call was sent again, since its first answer was lost.
        PERFORM 1 FROM layercode.turns r
        WHERE r.conversation_id = c AND r.turn_id = t AND r.token = begin_turn.token;
        RETURN CASE WHEN FOUND THEN 'new' ELSE 'known' END;
    END IF;
    UPDATE layercode.conversations v SET
        agent = coalesce(v.agent, begin_turn.agent),
        started_at = least(v.started_at, begin_turn.started_at),
        last_at = greatest(v.last_at, begin_turn.started_at)
    WHERE v.conversation_id = c;
    RETURN 'new';
END $$;

CREATE FUNCTION layercode.claim_turn(c text, t text, former text, former_attempt integer, owner text, token text)
RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    UPDATE layercode.turns r SET
        owner = claim_turn.owner, attempt = r.attempt + 1, revision = r.revision + 1, token = claim_turn.token
    WHERE r.conversation_id = c AND r.turn_id = t AND r.status = 'running' AND r.token <> claim_turn.token
        AND r.owner = former AND r.attempt = former_attempt;
    PERFORM 1 FROM layercode.turns r
    WHERE r.conversation_id = c AND r.turn_id = t AND r.token = claim_turn.token AND r.owner = claim_turn.owner;
    RETURN FOUND;
END $$;

CREATE FUNCTION layercode.merge_fields(c text, part text, names text[], vals bytea[], now double precision)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO layercode.conversations (conversation_id, touched_at) VALUES (c, now)
    ON CONFLICT (conversation_id) DO UPDATE SET touched_at = excluded.touched_at;
    INSERT INTO layercode.fields (conversation_id, part, name, value)
    SELECT c, merge_fields.part, f.name, f.value FROM unnest(names, vals) AS f (name, value)
    ON CONFLICT (conversation_id, part, name) DO UPDATE SET value = excluded.value;
END $$;

CREATE FUNCTION layercode.save_turn(
    c text, t text, owner text, expected integer, token text, status text, tokens integer, head json, messages bytea,
    frames bytea, names text[], vals bytea[], now double precision
) RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found_revision integer;
    found_token text;
BEGIN
    -- Lock in the same order as begin_turn and forget: the conversation first.
    PERFORM 1 FROM layercode.conversations v WHERE v.conversation_id = c FOR UPDATE;
    SELECT r.revision, r.save_token INTO found_revision, found_token FROM layercode.turns r
    WHERE r.conversation_id = c AND r.turn_id = t AND r.owner = save_turn.owner FOR UPDATE;
    IF NOT FOUND THEN RETURN 0; END IF;
    -- The same token: this call was sent again, since its first answer was lost.
    IF found_token = save_turn.token THEN RETURN 1; END IF;
    IF expected IS NOT NULL AND found_revision <> expected THEN RETURN -1; END IF;
    UPDATE layercode.turns r SET
        status = save_turn.status, tokens = save_turn.tokens, head = save_turn.head,
        messages = save_turn.messages, frames = save_turn.frames, revision = r.revision + 1,
        save_token = save_turn.token
    WHERE r.conversation_id = c AND r.turn_id = t;
    IF cardinality(names) > 0 THEN PERFORM layercode.merge_fields(c, 'state', names, vals, now); END IF;
    RETURN 1;
END $$;

CREATE FUNCTION layercode.forget(c text, before double precision) RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    gone integer;
BEGIN
    PERFORM 1 FROM layercode.conversations v WHERE v.conversation_id = c FOR UPDATE;
    IF before IS NOT NULL THEN
        PERFORM 1 FROM layercode.conversations v
        WHERE v.conversation_id = c AND coalesce(v.last_at, v.touched_at) >= before;
        IF FOUND THEN RETURN 0; END IF;
    END IF;
    DELETE FROM layercode.turns r WHERE r.conversation_id = c;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM layercode.fields f WHERE f.conversation_id = c;
    DELETE FROM layercode.jobs j WHERE j.conversation_id = c;
    DELETE FROM layercode.conversations v WHERE v.conversation_id = c;
    RETURN gone;
END $$;

CREATE VIEW layercode.turn_facts AS
SELECT conversation_id, turn_id, position, agent, kind, status,
    to_timestamp(started_at) AS started_at,
    to_timestamp((head ->> 'ended_at')::double precision) AS ended_at,
    head ->> 'user_text' AS caller_said,
    (SELECT string_agg(said ->> 'text', '') FROM json_array_elements(
        CASE json_typeof(head -> 'speech') WHEN 'array' THEN head -> 'speech' ELSE '[]' END) said) AS agent_said,
    head ->> 'model' AS model,
    (head -> 'timings' ->> 'ttfs')::double precision AS first_speech_ms,
    (head -> 'timings' ->> 'total')::double precision AS total_ms,
    (head ->> 'cost')::double precision AS cost_usd,
    head ->> 'error_category' AS error_category
FROM layercode.turns;
"""

_ENDED_ONCE = """
CREATE OR REPLACE FUNCTION layercode.save_turn(
    c text, t text, owner text, expected integer, token text, status text, tokens integer, head json, messages bytea,
    frames bytea, names text[], vals bytea[], now double precision
) RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found_revision integer;
    found_token text;
    found_status text;
BEGIN
    -- Lock in the same order as begin_turn and forget: the conversation first.
    PERFORM 1 FROM layercode.conversations v WHERE v.conversation_id = c FOR UPDATE;
    SELECT r.revision, r.save_token, r.status INTO found_revision, found_token, found_status FROM layercode.turns r
    WHERE r.conversation_id = c AND r.turn_id = t AND r.owner = save_turn.owner FOR UPDATE;
    IF NOT FOUND THEN RETURN 0; END IF;
    -- The same token: this call was sent again, since its first answer was lost.
    IF found_token = save_turn.token THEN RETURN 1; END IF;
    -- The end has overtaken this earlier save.
    IF found_status <> 'running' AND save_turn.status = 'running' THEN RETURN 1; END IF;
    IF expected IS NOT NULL AND found_revision <> expected THEN RETURN -1; END IF;
    UPDATE layercode.turns r SET
        status = save_turn.status, tokens = save_turn.tokens, head = save_turn.head,
        messages = save_turn.messages, frames = save_turn.frames, revision = r.revision + 1,
        save_token = save_turn.token
    WHERE r.conversation_id = c AND r.turn_id = t;
    IF cardinality(names) > 0 THEN PERFORM layercode.merge_fields(c, 'state', names, vals, now); END IF;
    RETURN 1;
END $$;
"""

_OVERTAKEN = """
    -- The end has overtaken this earlier save.
    IF found_status <> 'running' AND save_turn.status = 'running' THEN RETURN 1; END IF;"""
_CHANGED = """
    IF expected IS NOT NULL AND found_revision <> expected THEN RETURN -1; END IF;"""
_CHANGED_AGAIN = _ENDED_ONCE.replace(_OVERTAKEN + _CHANGED, _CHANGED + _OVERTAKEN)
"""Compare the revision first: if a turn has ended while it was being changed, the change is made again, to the ended
turn."""

_LOCK_ROW = """
    LOOP
        INSERT INTO layercode.conversations (conversation_id) VALUES (c) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM layercode.conversations WHERE conversation_id = c FOR UPDATE;
        EXIT WHEN FOUND;  -- If there is no row, another worker has just forgotten the conversation.
    END LOOP;
"""
_LOCK_OF_BEGIN = """
    INSERT INTO layercode.conversations (conversation_id) VALUES (c) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM layercode.conversations WHERE conversation_id = c FOR UPDATE;
"""
_LOCK_OF_FORGET = """
    PERFORM 1 FROM layercode.conversations v WHERE v.conversation_id = c FOR UPDATE;
"""
"""The fault of this lock: it locks nothing if the conversation has no row. If a turn began at the same moment, `forget`
could delete the new row of the conversation, but not the turn."""
_BEGIN_TURN = _FIRST[
    _FIRST.index("CREATE FUNCTION layercode.begin_turn") : _FIRST.index("CREATE FUNCTION layercode.claim")
]
_FORGET = _FIRST[_FIRST.index("CREATE FUNCTION layercode.forget") : _FIRST.index("CREATE VIEW")]
_LISTED_ALWAYS = (
    _BEGIN_TURN.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(_LOCK_OF_BEGIN, _LOCK_ROW)
    + _FORGET.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(_LOCK_OF_FORGET, _LOCK_ROW)
    + """
INSERT INTO layercode.conversations (conversation_id, agent, started_at, last_at)
SELECT conversation_id, (array_agg(agent ORDER BY position))[1], min(started_at), max(started_at)
FROM layercode.turns GROUP BY conversation_id
ON CONFLICT DO NOTHING;
"""
)
"""Repairs a fault of earlier versions: a turn that began while its conversation was forgotten could be left without a
row in `conversations`. Such a turn was not listed, and retention did not delete it.
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _ENDED_ONCE, _CHANGED_AGAIN, _LISTED_ALWAYS)
"""The migrations in order; the first creates version 1. A released migration is never changed."""
VERSION = len(MIGRATIONS)


async def prepare(connection: psycopg.AsyncConnection[Any]) -> None:
    """Migrate the schema to this release's version, in one transaction. Only one worker at a time migrates.

    Raises psycopg.Error if the migration fails, or if the schema belongs to a newer release.
    """
    if await _version(connection) == VERSION:
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if await _is_missing(connection, "to_regnamespace('layercode')"):
            # IF NOT EXISTS would need the privilege CREATE on the database even if the schema exists.
            await connection.execute("CREATE SCHEMA layercode")
        await connection.execute("CREATE TABLE IF NOT EXISTS layercode.schema_version (version integer NOT NULL)")
        found = await _version(connection)
        for migration in MIGRATIONS[found:]:
            await connection.execute(migration)
        if found < VERSION:
            await connection.execute("DELETE FROM layercode.schema_version")
            await connection.execute("INSERT INTO layercode.schema_version VALUES (%s)", (VERSION,))


async def _is_missing(connection: psycopg.AsyncConnection[Any], name: LiteralString) -> bool:
    row = await (await connection.execute(f"SELECT {name} IS NULL")).fetchone()
    return row is None or bool(row[0])


async def _version(connection: psycopg.AsyncConnection[Any]) -> int:
    if await _is_missing(connection, "to_regclass('layercode.schema_version')"):
        return 0
    row = await (await connection.execute("SELECT max(version) FROM layercode.schema_version")).fetchone()
    found = int((row and row[0]) or 0)
    if found > VERSION:
        raise psycopg.ProgrammingError(
            f"its schema has version {found}, but this release reads only up to {VERSION}; install the newer release"
        )
    return found
