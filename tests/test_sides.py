"""Side files: what holds to the contract is read, what doesn't is refused with a reason, and no bomb goes off."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import WireError
from detector.media.sides import LARGEST_JSON, MOST_BOXES, MOST_LOOKS, check_side, read_side

HEAD = {"schema": 1, "incident": "inc-1", "segment": 0, "started_at_unix": 1e9, "duration_s": 4.0, "size": [320, 180]}
LOOK = {"t": 0.2, "boxes": [["person", 7, 0.1, 0.1, 0.2, 0.2, 0.9]], "offender": [7], "score": {"7": 0.5}}
BOX = LOOK["boxes"][0]  # type: ignore[index]


def packed(text: bytes | str) -> bytes:
    """Gzipped."""
    return gzip.compress(text if isinstance(text, bytes) else text.encode(), mtime=0)


def make_side(**changes: Any) -> bytes:
    """A side file of one look; `changes` go on top."""
    return packed(json.dumps({**HEAD, "looks": [LOOK], **changes}))


CONTENT = make_side()


def with_box(**places: Any) -> bytes:
    """A side file with one box, some of whose seven values are others."""
    box = [places.get(f"v{n}", value) for n, value in enumerate(BOX)]
    return make_side(looks=[{**LOOK, "boxes": [box]}])


BAD: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: packed(b" " * (LARGEST_JSON + 1)),
    "a bomb of lists": lambda: packed(b"[" + b"[]," * 10_000_000 + b"[]]"),
    "a bomb of depth": lambda: packed(b"[" * 100_000 + b"]" * 100_000),
    "cut off": lambda: CONTENT[:-20],
    "two of them": lambda: CONTENT + CONTENT,
    "something behind": lambda: CONTENT + b"\0" * 10,
    "no gzip": lambda: b"\x1f\x8bnot gzip at all",
    "raw deflate": lambda: zlib.compress(b"{}"),
    "no JSON": lambda: packed("{'schema': 1}"),
    "no text": lambda: packed(b"\xff\xfe{}"),
    "no object": lambda: packed("[]"),
    "nothing": lambda: packed("{}"),
    "another schema": lambda: make_side(schema=2),
    "a segment of text": lambda: make_side(segment="0"),
    "an incident of nothing": lambda: make_side(incident=None),
    "NaN for a time": lambda: make_side(started_at_unix=float("nan")),
    "a look before": lambda: make_side(looks=[{**LOOK, "t": -0.1}]),
    "a look after": lambda: make_side(looks=[{**LOOK, "t": 4.2}]),
    "a look at NaN": lambda: make_side(looks=[{**LOOK, "t": float("nan")}]),
    "a look at 1e999": lambda: packed(gzip.decompress(CONTENT).replace(b'"t": 0.2', b'"t": 1e999')),
    "a digit too many": lambda: packed(gzip.decompress(CONTENT).replace(b'"t": 0.2', b'"t": ' + b"1" * 5000)),
    "looks twice": lambda: make_side(looks=[LOOK, LOOK]),
    "looks backwards": lambda: make_side(looks=[LOOK, {**LOOK, "t": 0.1}]),
    "too many looks": lambda: make_side(looks=[{"t": n / 1e4, "boxes": []} for n in range(MOST_LOOKS + 1)]),
    "too many boxes": lambda: make_side(looks=[{**LOOK, "boxes": [BOX] * 501}]),
    "too many in all": lambda: make_side(
        looks=[{"t": n / 1e4, "boxes": [BOX] * 500} for n in range(MOST_BOXES // 500 + 1)]
    ),
    "a look of text": lambda: make_side(looks=["x"]),
    "no looks": lambda: make_side(looks=None),
    "no boxes": lambda: make_side(looks=[{"t": 0.1}]),
    "a box of six": lambda: make_side(looks=[{**LOOK, "boxes": [BOX[:6]]}]),
    "a box of a thing": lambda: with_box(v0="ghost"),
    "a box of text": lambda: with_box(v2="0.1"),
    "a box of NaN": lambda: with_box(v3=float("nan")),
    "a box of infinity": lambda: with_box(v4=float("inf")),
    "a box of truth": lambda: with_box(v6=True),
    "a box outside": lambda: with_box(v4=1.1),
    "a box inside out": lambda: with_box(v2=0.3),
    "a sure box": lambda: with_box(v6=1.5),
    "a track of text": lambda: with_box(v1="7"),
    "a track below nothing": lambda: with_box(v1=-1),
    "a track of truth": lambda: with_box(v1=True),
    "offenders": lambda: make_side(looks=[{**LOOK, "offender": 7}]),
    "an offender of text": lambda: make_side(looks=[{**LOOK, "offender": ["7"]}]),
    "many offenders": lambda: make_side(looks=[{**LOOK, "offender": [7] * 257}]),
    "a score of nobody": lambda: make_side(looks=[{**LOOK, "score": {"x": 0.5}}]),
    "a score of NaN": lambda: make_side(looks=[{**LOOK, "score": {"7": float("nan")}}]),
    "a score in a list": lambda: make_side(looks=[{**LOOK, "score": [0.5]}]),
    "a size of nothing": lambda: make_side(size=[0, 0]),
    "a size of NaN": lambda: make_side(size=[float("nan"), 1]),
}  # fmt: skip


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_is_no_side_file_is_refused_with_a_reason(content: Callable[[], bytes]) -> None:
    with pytest.raises(WireError, match=r"side file: \w"):
        read_side(io.BytesIO(content()))


def test_what_holds_to_the_contract_is_read() -> None:
    assert read_side(io.BytesIO(CONTENT)) == {**HEAD, "looks": [LOOK]}


@pytest.mark.parametrize(
    "changes",
    [
        {"looks": []},
        {"looks": [{"t": 0, "boxes": []}, {"t": 4.04, "boxes": []}]},
        {"looks": [{**LOOK, "boxes": [["label", None, -0.01, 0, 1.01, 1, 0]], "more": "of a later version"}]},
        {"made_by": "a later version"},
    ],
)
def test_the_edges_of_the_contract_are_within_it(changes: dict[str, Any]) -> None:
    assert read_side(io.BytesIO(make_side(**changes))) == {**HEAD, "looks": [LOOK], **changes}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from([*HEAD, "looks"]), JSON), st.dictionaries(st.sampled_from(list(LOOK)), JSON))
def test_whatever_stands_in_it_one_error_says_so(head: dict[str, Any], look: dict[str, Any]) -> None:
    for fields in ({**HEAD, "looks": [{**LOOK, **look}]}, {**HEAD, "looks": [LOOK], **head}):
        try:
            check_side(fields)
        except WireError:
            continue
        told = read_side(io.BytesIO(packed(json.dumps(fields))))
        assert told == json.loads(json.dumps(fields))


def test_bombs_take_no_memory() -> None:
    """What a reader takes for the worst that fits into the limits, in a process of its own."""
    script = """
        import gzip, io, resource
        from detector.errors import WireError
        from detector.media.sides import read_side
        bombs = [gzip.compress(bytes(2**30), 1), gzip.compress(b"[" + b"[]," * 11_000_000 + b"[]]"),
                 gzip.compress(b'{"a":[' + b"1.5," * 3_000_000 + b"1]}")]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for bomb in bombs:
            try:
                read_side(io.BytesIO(bomb))
            except WireError:
                continue
            raise SystemExit("taken")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400 * 1024, "KiB more than before"
