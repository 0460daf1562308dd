"""What redaction masks, and what it leaves alone."""

from __future__ import annotations

from layercode_app.observability import caller_secrets, context, redaction


def test_a_callers_secrets_are_masked_outside_of_their_turn() -> None:
    caller_secrets.remember({"token": "test-caller-1", "deep": {"password": "test-caller-2"}, "user": "somebody"})
    assert redaction.clean("test-caller-1 test-caller-2 somebody") == "[redacted] [redacted] somebody"


def test_only_the_newest_secrets_of_callers_are_kept() -> None:
    for number in range(caller_secrets.KEPT + 1):
        caller_secrets.remember({"token": f"test-caller-{number:04}"})
    assert redaction.clean("test-caller-0000 test-caller-0001") == "test-caller-0000 [redacted]"


def test_an_error_is_hidden_in_a_request_and_where_nobody_knows_whose_it_is() -> None:
    error = ValueError("marzipan")
    assert redaction.message_of(error) == "marzipan"
    with context.for_somebody():
        assert redaction.message_of(error) == redaction.HIDDEN
        assert "marzipan" not in redaction.describe(error)
    token = context.request.set(context.Request("POST", "/api/authorize", 0.0))
    assert redaction.message_of(error) == redaction.HIDDEN
    context.request.reset(token)
