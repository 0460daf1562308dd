"""Valid signature headers are accepted. Every other header is refused with a message that says why."""

from __future__ import annotations

import hashlib
import hmac
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercode_app.exceptions import PlatformError, SignatureError
from layercode_app.webhook import TOLERANCE_SECONDS, sign, verify

from ..support import need_program

NOW = 1_750_000_000
SECRET = "test-secret"
ARABIC_INDIC = str(NOW).translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
BODY = b'{"type":"message"}'
DIGEST = hmac.new(SECRET.encode(), f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()


def check(header: str | None, *, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), now: float = NOW) -> None:
    verify(header, body, secrets, now=now)


def test_sign_follows_the_platforms_formula() -> None:
    assert sign(BODY, SECRET, timestamp=NOW) == f"t={NOW},v1={DIGEST}"


def test_formula_is_that_of_another_implementation() -> None:
    openssl = need_program("openssl")
    signed = f"{NOW}.".encode() + BODY
    done = subprocess.run([openssl, "dgst", "-sha256", "-hmac", SECRET], input=signed, capture_output=True, check=True)
    assert done.stdout.decode().strip().endswith(DIGEST)


def test_sign_and_verify_share_the_clock() -> None:
    verify(sign(BODY, SECRET), BODY, [SECRET])


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={DIGEST}",
        f"v1={DIGEST},t={NOW}",
        f" t={NOW} , v1={DIGEST} ",
        f"t={NOW},v0=old,v1={DIGEST},v2=new",
        f"t={NOW},v1={'0' * 64},v1={DIGEST}",
        f"t={NOW},v1={DIGEST},v1={'0' * 64}",
        f"t={NOW},v1=é,v1={DIGEST}",
    ],
    ids=["plain", "reversed", "spaced", "other schemes", "second v1", "first v1", "beside a non-ascii v1"],
)
def test_accepted_headers(header: str) -> None:
    check(header)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "is missing"),
        ("", "is missing"),
        (" ", "no valid time"),
        ("garbage", "no valid time"),
        ("=,=,=", "no valid time"),
        (",,,", "no valid time"),
        (f"v1={DIGEST}", "no valid time"),
        (f"t=,v1={DIGEST}", "no valid time"),
        (f"t=now,v1={DIGEST}", "no valid time"),
        (f"t=-{NOW},v1={DIGEST}", "no valid time"),
        (f"t=+{NOW},v1={DIGEST}", "no valid time"),
        (f"t={NOW}.0,v1={DIGEST}", "no valid time"),
        (f"t=1_750_000_000,v1={DIGEST}", "no valid time"),
        (f"t={ARABIC_INDIC},v1={DIGEST}", "no valid time"),
        (f"t=²,v1={DIGEST}", "no valid time"),
        (f"t={'9' * 16},v1={DIGEST}", "no valid time"),
        (f"t={'9' * 5000},v1={DIGEST}", "no valid time"),
        (f"T={NOW},V1={DIGEST}", "no valid time"),
        (f"t={NOW}", "no v1 part"),
        (f"t={NOW},v1=", "no v1 part"),
        (f"t={NOW},v1", "no v1 part"),
        (f"t={NOW},v0={DIGEST}", "no v1 part"),
        (f"t={NOW},v1=wrong", "does not fit the body"),
        (f"t={NOW},v1={DIGEST[:-1]}", "does not fit the body"),
        (f"t={NOW},v1={DIGEST}0", "does not fit the body"),
        (f"t={NOW},v1={'ü' * 64}", "does not fit the body"),
        (f"t={NOW},v1=\udcff", "does not fit the body"),
        (f"t={NOW},v1=\0", "does not fit the body"),
        (f"t={NOW - 1},v1={DIGEST}", "does not fit the body"),
        (f"t={NOW * 1000},v1={DIGEST}", "in the future"),
        (f"t=0,v1={DIGEST}", "s old"),
    ],
)
def test_refused_headers(header: str | None, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason) as refusal:
        check(header)
    assert refusal.value.status == 401
    assert DIGEST not in str(refusal.value)


@pytest.mark.parametrize("drift", [-TOLERANCE_SECONDS, -1, 0, 1, TOLERANCE_SECONDS])
def test_time_within_the_tolerance_either_way(drift: int) -> None:
    check(sign(BODY, SECRET, timestamp=NOW + drift))


@pytest.mark.parametrize(
    ("drift", "when"), [(-TOLERANCE_SECONDS - 1, "301 s old"), (TOLERANCE_SECONDS + 1, "301 s in the future")]
)
def test_time_beyond_the_tolerance(drift: int, when: str) -> None:
    with pytest.raises(SignatureError, match=when):
        check(sign(BODY, SECRET, timestamp=NOW + drift))


def test_tolerance_is_the_callers_choice() -> None:
    verify(sign(BODY, SECRET, timestamp=NOW - 900), BODY, [SECRET], now=NOW, tolerance=900)
    with pytest.raises(SignatureError, match="at most 10 s"):
        verify(sign(BODY, SECRET, timestamp=NOW - 11), BODY, [SECRET], now=NOW, tolerance=10)


def test_rotation_accepts_each_configured_secret() -> None:
    secrets = ("test-new", "test-old")
    for secret in secrets:
        check(sign(BODY, secret, timestamp=NOW), secrets=secrets)
    with pytest.raises(SignatureError, match="LAYERCODE_WEBHOOK_SECRET"):
        check(sign(BODY, "test-older", timestamp=NOW), secrets=secrets)


@pytest.mark.parametrize("secrets", [(), ("",), ("", "test-other")])
def test_nobody_can_sign_with_no_secret(secrets: tuple[str, ...]) -> None:
    with pytest.raises(SignatureError, match="does not fit"):
        check(sign(BODY, "", timestamp=NOW), secrets=secrets)


def test_raw_bytes_are_what_is_signed() -> None:
    spaced = BODY.replace(b":", b": ")
    with pytest.raises(SignatureError):
        check(sign(BODY, SECRET, timestamp=NOW), body=spaced)
    not_text = b"\xff\xfe\x00"
    check(sign(not_text, SECRET, timestamp=NOW), body=not_text)


@given(body=st.binary(), secret=st.text(min_size=1, alphabet=st.characters(codec="utf-8")))
def test_what_is_signed_verifies(body: bytes, secret: str) -> None:
    check(sign(body, secret, timestamp=NOW), body=body, secrets=(secret,))


@given(body=st.binary(min_size=1), data=st.data())
def test_one_changed_bit_is_refused(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body) * 8 - 1))
    changed = bytearray(body)
    changed[at // 8] ^= 1 << at % 8
    with pytest.raises(SignatureError):
        check(sign(body, SECRET, timestamp=NOW), body=bytes(changed))


@given(
    header=st.text()
    | st.lists(st.sampled_from(["t=", "v1=", ",", "=", str(NOW), DIGEST[:8], "é", "\udc80", " "])).map("".join)
)
def test_any_header_is_refused_with_a_reason_and_nothing_else(header: str) -> None:
    with pytest.raises(PlatformError, match=r"^The "):
        check(header)
