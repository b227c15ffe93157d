"""Whether an edge took what was set for it, as its health reports tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from detector.hub.edges.commanded import Answer
from detector.hub.edges.thresholds import Threshold, Thresholds
from detector.hub.edges.zones import ZoneChange, Zones
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Edge
from tests.hub.conftest import NOON

WAITING, TAKEN = Answer("waiting"), Answer("taken")

Ask = Callable[..., Answer]


@pytest.fixture(params=["tuned", "zoned"])
def answer(request: pytest.FixtureRequest, sqlite_store: Store) -> Ask:
    """What the edge says to the first of two changes, versions 1 and 3, of either kind."""
    said = {"site": "shanghai", "edge": "box1", "camera": "cam3", "before": None, "user": "owner", "at": NOON}
    score = {"kind": "lingering", "least_score": 0.5, "evidence": {}}

    def asked(told: Any, health_at: float = NOON + 1) -> Answer:
        box = Edge("shanghai", "box1", "online", NOON, {request.param: told}, health_at, 0)
        if request.param == "tuned":
            scores = [Threshold(version=version, **said, **score) for version in (1, 3)]
            return Thresholds(sqlite_store.database).answer(box, *scores)
        drawn = [ZoneChange(version=version, **said, zones=[]) for version in (1, 3)]
        return Zones(sqlite_store.database).answer(box, *drawn)

    return asked


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({"version": 0, "refused": None}, WAITING),
        ({"version": 1, "refused": None}, TAKEN),
        ({"version": 2, "refused": None}, TAKEN),  # a later one carries it along
        ({"version": 4, "refused": None}, WAITING),  # of a hub whose database was brought back since
        ({"version": 1, "refused": "no", "refused_version": 3}, TAKEN),
        ({"version": 0, "refused": "no", "refused_version": 1}, Answer("refused", "no", None)),
        ({"version": 0, "refused": "no", "refused_version": 3, "refused_causes": [1]}, Answer("refused", "no", [1])),
        ({"version": 0, "refused": "no", "refused_version": 2}, WAITING),  # the word on the latest is to come
        ({"version": 0, "refused": "no", "refused_version": None}, Answer("refused", "no", None)),
        ({"version": 0, "refused": "no"}, Answer("refused", "no", None)),
        (None, WAITING),
        ([1], WAITING),
        ({"version": "1", "refused": ""}, WAITING),
    ],
)
def test_an_edge_took_a_change_or_refused_it_or_has_said_nothing_of_it(answer: Ask, told: Any, meant: Answer) -> None:
    assert answer(told) == meant


def test_a_refusal_of_what_an_edge_could_not_read_is_of_a_change_before_it(answer: Ask) -> None:
    unread = {"version": 0, "refused": "not JSON", "refused_version": None}
    assert answer(unread, NOON - 1) == WAITING
    assert answer(unread, NOON).state == "refused"
