"""Codes as people type them, what is derived from them, and the two messages that they protect."""

from __future__ import annotations

import base64
import re
from itertools import combinations
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from detector import wire
from detector.credentials.codes import (
    ALPHABET,
    check_symbol,
    derived,
    fingerprint,
    grouped,
    join_answer,
    join_request,
    knows_code,
    make_code,
    make_password,
    parse_code,
    read_join_answer,
    read_join_request,
)
from detector.errors import WireError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CODE = parse_code("000000000000" + check_symbol("000000000000"))
codes = st.text(ALPHABET, min_size=12, max_size=12).map(lambda symbols: symbols + check_symbol(symbols))
noise = st.sampled_from(["", "-", " ", "–", "\u00a0", "--"])


def test_a_password_told_by_phone_has_no_symbols_that_look_alike() -> None:
    made = {make_password() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){4}", one) for one in made)


@given(codes, st.data())
def test_a_code_is_read_however_it_is_typed(code: str, data: st.DataObject) -> None:
    typed = "".join(data.draw(noise) + data.draw(st.sampled_from([one, one.lower()])) for one in code)
    swapped = typed.replace("1", data.draw(st.sampled_from("1lIi"))).replace("0", data.draw(st.sampled_from("0Oo")))
    assert parse_code(f" {swapped}\n") == code
    assert parse_code(grouped(code)) == code
    assert parse_code("".join(chr(ord(one) + 0xFEE0) for one in grouped(code))) == code, "by a Chinese keyboard"


@given(codes, st.integers(0, 12), st.sampled_from(ALPHABET))
def test_any_one_wrong_symbol_is_found_out(code: str, at: int, symbol: str) -> None:
    mistyped = code[:at] + symbol + code[at + 1 :]
    if mistyped != code:
        with pytest.raises(ValueError, match="mistyped"):
            parse_code(mistyped)


@given(codes)
def test_any_two_swapped_symbols_are_found_out(code: str) -> None:
    for one, other in combinations(range(13), 2):
        symbols = list(code)
        symbols[one], symbols[other] = symbols[other], symbols[one]
        if symbols != list(code):
            with pytest.raises(ValueError, match="mistyped"):
                parse_code("".join(symbols))


@given(st.text())
def test_no_text_is_taken_for_a_code_but_a_code(text: str) -> None:
    try:
        code = parse_code(text)
    except ValueError:
        return
    assert len(code) == 13 and set(code) <= set(ALPHABET) and check_symbol(code[:-1]) == code[-1]


def test_codes_are_made_of_sixty_random_bits() -> None:
    made = [parse_code(make_code()) for _ in range(2000)]
    assert len(set(made)) == 2000
    assert all({code[at] for code in made} == set(ALPHABET) for at in range(12))


def test_what_is_derived_tells_nothing_alike() -> None:
    one, other = derived(CODE), derived(parse_code("100000000000" + check_symbol("100000000000")))
    assert one.handle != other.handle and one.answer_key != other.answer_key
    assert wire.public_key_text(one.box_key) != wire.public_key_text(other.box_key)
    told = {one.handle, one.answer_key.hex(), one.box_key.private_bytes_raw().hex()}
    assert len(told) == 3 and not any(part in whole for part in told for whole in told if part != whole)


@given(st.binary(min_size=32, max_size=32))
def test_a_fingerprint_is_twelve_symbols_in_groups(raw: bytes) -> None:
    told = fingerprint(base64.b64encode(raw).decode())
    assert len(told) == 14 and set(told) <= {*ALPHABET, "-"} and told[4] == told[9] == "-"


def asked(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "site": "north", "edge": "box-1", "key": KEY, "at": 1.0, "version": "1", "csr": None,
    }  # fmt: skip
    return join_request(CODE, **{**usual, **changes})


def test_the_code_does_not_travel() -> None:
    request = asked()
    sent = wire.encode(request)
    answer = wire.encode(join_answer(request, {"hub_key": "k"}, derived(CODE).answer_key))
    for secret in (
        CODE,
        grouped(CODE),
        derived(CODE).answer_key.hex(),
        derived(CODE).box_key.private_bytes_raw().hex(),
    ):
        assert secret.encode() not in sent + answer


def test_a_request_is_believed_of_who_knows_the_code_and_holds_the_key() -> None:
    verifier = wire.public_key_text(derived(CODE).box_key)
    request = read_join_request(wire.encode(asked(csr="pem")))
    assert knows_code(request, verifier)
    assert not knows_code(request, wire.public_key_text(KEY))
    for name in ("site", "edge", "nonce", "at_unix", "csr", "version", "public_key"):
        changed = {**request, name: 2.0 if name == "at_unix" else wire.public_key_text(derived(CODE).box_key)}
        assert not knows_code(changed, verifier)
        with pytest.raises(WireError):
            read_join_request(wire.encode(changed))
    # Whoever listens can sign what he heard with a key of his own; the code's signature doesn't fit then.
    thief = Ed25519PrivateKey.generate()
    stolen = {**request, "public_key": wire.public_key_text(thief)}
    assert not knows_code(read_join_request(wire.encode(wire.signed(stolen, thief))), verifier)


@pytest.mark.parametrize("name", ["hub_key", "broker", "broker_ca", "mac"])
def test_an_answer_that_was_changed_on_the_way_is_not_believed(name: str) -> None:
    request, key = asked(), derived(CODE).answer_key
    answer = join_answer(request, {"hub_key": "k", "broker": {"host": "h"}, "broker_ca": None}, key)
    assert read_join_answer(wire.encode(answer), request, key)["hub_key"] == "k"
    for changed in ({**answer, name: "mine"}, {k: v for k, v in answer.items() if k != name}):
        with pytest.raises(WireError, match="does not know the code"):
            read_join_answer(wire.encode(changed), request, key)


def test_an_answer_to_another_request_is_not_believed() -> None:
    key = derived(CODE).answer_key
    answer = wire.encode(join_answer(asked(), {"hub_key": "k"}, key))
    with pytest.raises(WireError, match="does not know the code"):
        read_join_answer(answer, asked(), key)
