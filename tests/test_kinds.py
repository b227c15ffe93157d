"""Every kind of incident is known wherever kinds are told apart: what a new one still lacks fails here by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import pytest

from detector.alerts.severity import GRAVITY, OF_KIND
from detector.config import IncidentKindName
from detector.hub.harm import harm
from detector.hub.texts import EN, ZH
from detector.values import IncidentKind


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(get_args(IncidentKindName), id="config.IncidentKindName"),
        pytest.param(GRAVITY, id="severity.GRAVITY"),
        pytest.param(OF_KIND, id="severity.OF_KIND"),
        pytest.param({kind for kind in IncidentKind if harm("info", 0, kind) > harm("info", 0, "?")}, id="harm.harm"),
        pytest.param({kind for kind in IncidentKind if f"kind_{kind}" in ZH}, id="its name, Chinese"),
        pytest.param({kind for kind in IncidentKind if f"kind_{kind}" in EN}, id="its name, English"),
        pytest.param({kind for kind in IncidentKind if f"advice_{kind}" in ZH}, id="advice, Chinese"),
        pytest.param({kind for kind in IncidentKind if f"advice_{kind}" in EN}, id="advice, English"),
    ],
)
def test_every_kind_is_known(known: Iterable[str]) -> None:
    assert set(known) == set(IncidentKind)


def test_no_two_kinds_are_equally_bad() -> None:
    assert len({harm("info", 0, kind) for kind in IncidentKind}) == len(IncidentKind)
