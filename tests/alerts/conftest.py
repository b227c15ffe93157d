"""A clock that moves when told, a key, and an outbox in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector.alerts.outbox import Outbox
from detector.clock import Clock
from detector.config import Buffers
from tests.builders import SteppedClock


def make_fields(incident: str = "i1", severity: str = "warning", **more: Any) -> dict[str, Any]:
    """What `wire.envelope` gives, as small as the hub accepts it."""
    return {
        "schema": 1, "site": "north", "edge": "box-1", "camera": "cam-1", "phase": "new", "before": None,
        "after": {
            "id": incident, "site": "north", "edge": "box-1", "camera": "cam-1", "camera_title": "东区 1",
            "kind": "label_photography", "severity": severity, "score": 0.9, "zone": "bulk",
            "started_at": "2026-11-01T09:26:13.250Z", "ended_at": "2026-11-01T09:26:15.250Z",
            "started_at_unix": 1793525173.25, "ended_at_unix": 1793525175.25, "tracks": [7], "acts": [],
            "labels_exposed": {"low": 1, "best": 2, "high": 3}, "facts": {}, "boxes": [],
        },
        "snapshot": None, "clips": [], **more,
    }  # fmt: skip


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def fields() -> Callable[..., dict[str, Any]]:
    return make_fields


@pytest.fixture
def open_outbox(tmp_path: Path, clock: SteppedClock, key: Ed25519PrivateKey) -> Iterator[Callable[..., Outbox]]:
    """Opens the outbox of this test, again and again if wanted, and closes what was opened."""
    opened: list[Outbox] = []

    def open_it(clock: Clock = clock, **buffers: Any) -> Outbox:
        for before in opened:
            before.close()
        opened.append(Outbox(tmp_path / "outbox.db", key, clock=clock, buffers=Buffers(**buffers)))
        return opened[-1]

    yield open_it
    for outbox in opened:
        outbox.close()


@pytest.fixture
def outbox(open_outbox: Callable[..., Outbox]) -> Outbox:
    return open_outbox()
