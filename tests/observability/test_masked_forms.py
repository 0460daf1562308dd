"""Secrets and phone numbers are masked, whatever form they have in a text."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from layercode_app.observability import pipeline
from layercode_app.observability.json_lines import JsonSink
from layercode_app.observability.privacy import caller_secrets, masking
from layercode_app.observability.privacy.masked_export import redact
from layercode_app.observability.privacy.masked_values import masked

SECRET = 'test-"quoted\\99'
KEY = "-----BEGIN TEST KEY-----\ntestkeyline0001\ntestkeyline0002\n-----END TEST KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        "{'password': 'test1234'}",
        '{"password":"test\\"1234"}',
        '{"told":"{\\"password\\": \\"test\\\\\\"1234\\"}"}',
        "password: test1234",
        "password: testtest",
        "password='test and 1234'",
        "x-api-key: test1234",
        '{"x-api-key":"test1234"}',
        '{"token":123456789}',
        '{"tokens":["test1234","test5678"]}',
        "Authorization: Basic dGVzdDp0ZXN0",
        "{'Authorization': 'Basic dGVzdDp0ZXN0'}",
        "private_key = test1234",
    ],
)
def test_a_named_secret_is_masked(text: str) -> None:
    shown = masking.clean(text)
    assert masking.MASK in shown
    assert not any(secret in shown for secret in ("test", "1234", "5678", "dGVzd", "3456"))


@pytest.mark.parametrize(
    "text",
    [
        "first token: after 350 ms",
        "first token: 1234 ms",
        "time to first token: 0.35s",
        "Unexpected token: identifier",
        "max_token: 4096",
        '{"token_type": "input", "tokenizer": "cl100k", "secretary": "Anna"}',
        "tokens = ['a', 'b']",
        "Missing LAYERCODE_API_KEY: required",
        "06.07.26 01.05.26 09.10.26, /tmp/0098/10811603/x",
        "max_tokens: 4000",
        '{"input_tokens":123456}',
        "The signature: it does not match.",
        "LAYERCODE_WEBHOOK_SECRET: expected at least 8 characters",
        "turn 0f8fad5b-d9cb-469f-a165-70867728950e of 2026-11-29 10:20:30.123456",
        "00123456-1234-4234-8234-123456789012",
        "took 0.12 0.34 s, 00:12:34.567",
    ],
)
def test_an_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert masking.clean(text) == text


@pytest.mark.parametrize(
    "number",
    [
        "+1\N{NON-BREAKING HYPHEN}415\N{NON-BREAKING HYPHEN}555\N{NON-BREAKING HYPHEN}2671",
        "(415) 555\N{NON-BREAKING HYPHEN}2671",
        "415\N{EN DASH}555\N{EN DASH}2671",
        "+1\N{NO-BREAK SPACE}415\N{NO-BREAK SPACE}555\N{NO-BREAK SPACE}2671",
        "+1/415/555/2671",
        "%2B14155552671",
        "\N{FULLWIDTH PLUS SIGN}14155552671",
        "0049 151 12342671",
        "06 12 55 26 71",
        "06.12.55.26.71",
        "00491701234567",
    ],
)
def test_a_phone_number_is_masked_whatever_is_between_its_digits(number: str) -> None:
    assert not masking.is_clean(number)
    shown = masking.clean(f"call {number} now")
    assert shown.startswith("call ")
    assert shown.endswith(" now")
    assert len([char for char in shown if char.isdecimal()]) < 7


@pytest.mark.parametrize("secret", [SECRET, KEY])
@pytest.mark.parametrize("of", ["the process", "a caller"])
def test_a_secret_is_masked_however_it_is_escaped(secret: str, of: str) -> None:
    if of == "a caller":
        caller_secrets.remember({"credentials": [{"value": secret}]})
    else:
        masking.configure(secrets=[secret])
    try:
        for text in (secret, json.dumps({"x": secret}), json.dumps({"x": json.dumps(secret)}), repr(secret)):
            shown = masking.clean(f"it is {text}")
            assert not any(word in shown for word in ("quoted", "testkeyline")), shown
            assert not masking.is_clean(f"it is {text}")
    finally:
        masking.configure()


@pytest.mark.parametrize(
    "metadata",
    [
        {"tokens": ["test-nested-1"]},
        {"users": [{"token": "test-nested-1"}]},
        {"credentials": {"value": "test-nested-1"}},
        {"api-key": "test-nested-1"},
        {"deep": {"private_key": {"pem": ["test-nested-1"]}}},
    ],
)
def test_a_secret_is_found_anywhere_in_the_metadata(metadata: dict[str, Any]) -> None:
    caller_secrets.remember({**metadata, "max_tokens": 4711000})
    assert masking.clean("test-nested-1 and 4711000") == f"{masking.MASK} and 4711000"


def test_a_role_below_a_secret_name_is_no_secret() -> None:
    caller_secrets.remember({"authorization": {"role": "customer-of-tests"}, "max_token": 47110})
    assert masking.clean("customer-of-tests 47110") == "customer-of-tests 47110"


@pytest.mark.parametrize("name", ["token_type", "authorization_status", "tokenType", "credential-kind"])
def test_an_ordinary_word_that_describes_a_secret_is_no_secret(name: str) -> None:
    caller_secrets.remember({name: "complete-in-tests", "password": "sunshine-of-tests"})
    caller_secrets.remember({name: "test-described-1"})
    shown = masking.clean("complete-in-tests sunshine-of-tests test-described-1")
    assert shown == f"complete-in-tests {masking.MASK} {masking.MASK}"


def test_keys_stay_though_a_word_of_them_is_a_password() -> None:
    fields = {"session_id": "session", "message": {"session": 1, "session of test-1234": 2}}
    with caller_secrets.only([{"password": "session"}, {"password": "message"}]):
        assert masked(fields) == {"session_id": "[redacted]", "message": {"session": 1, "[redacted] of test-1234": 2}}
        attributes = pipeline.clean_attributes({"some.session.id": "session"})
        assert attributes == {"some.session.id": "[redacted]"}
        assert redact({"message": {"session": 1}}) == {"message": {"session": 1}}


FIELDS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["the password:", "token='", '"token": ["a']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["token", "x", "api-key", "Password"]), inner)
    ),
    max_leaves=8,
)


@given(FIELDS)
def test_a_masked_line_stays_json(value: Any) -> None:
    lines: list[bytes] = []
    sink = JsonSink([lambda agent, line: lines.append(line)], {"service": "x"})
    handler = logger.add(sink)
    logger.bind(extra={"value": value}).info("Enter the password: {}", value)
    logger.remove(handler)
    line = json.loads(b"".join(lines))
    assert line["level"] == "INFO"
    assert line["logger"] == __name__


HOSTILE = (
    "token_",
    "tokentoken",
    "token='",
    "token=['a ",
    "authorization",
    "password: ",
    "00",
    "0 1 ",
    "+1",
    "/* ",
    "$a$ ",
    "'",
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_takes_linear_time(piece: str) -> None:
    """Masking a text of ten times the length takes at most twenty times the time, plus 0.2 s for the inexact clock.

    With a quadratic pattern, it would take a hundred times the time.
    """

    def seconds(size: int) -> float:
        text = piece * (size // len(piece)) + ":="
        begun = time.process_time()
        masking.clean(text)
        kind = pipeline._LITERAL.sub("?", text)
        assert kind
        return time.process_time() - begun

    assert seconds(40_000) < 20 * seconds(4_000) + 0.2
