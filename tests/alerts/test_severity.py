"""Harm decides how severe an incident is: labels, seriality, preparation, hours; context alone only informs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts.severity import GRAVITY, points, severity
from detector.values import CountRange, IncidentKind, Severity

PHOTOS, PATTERN = IncidentKind.LABEL_PHOTOGRAPHY, IncidentKind.ORIENTATION_PATTERN
BLIND, LINGERING, TAMPER = IncidentKind.BLIND_CORNER, IncidentKind.LINGERING, IncidentKind.TAMPER
NO_LABELS = CountRange(0, 0, 0)


@pytest.mark.parametrize(
    ("kinds", "photos", "labels", "facts", "expected"),
    [
        pytest.param([PHOTOS], 2, 2, {}, "warning", id="two photos"),
        pytest.param([PHOTOS], 3, 3, {"crouched": 1.0, "people": 2}, "warning", id="three, two people squatting"),
        pytest.param([PHOTOS], 3, 3, {"crouched": 1.0, "out_of_hours": True}, "critical", id="squatting out of hours"),
        pytest.param([PHOTOS], 4, 4, {}, "critical", id="four photos"),
        pytest.param([PHOTOS], 2, 15, {}, "critical", id="fifteen labels in two photos"),
        pytest.param([PHOTOS], 3, 5, {"pace_per_min": 9}, "critical", id="practised, five labels"),
        pytest.param([PHOTOS], 0, 20, {"scans": 20, "out_of_hours": True}, "warning", id="twenty scans"),
        pytest.param([PATTERN, PHOTOS], 0, 20, {"scans": 20}, "critical", id="a patch and scans of it"),
        pytest.param([PHOTOS], 0, 5, {"scans": 5, "unsure": True}, "info", id="scans that are not sure"),
        pytest.param(
            [PHOTOS], 3, 9, {"unsure": True, "people": 2, "crouched": 1.0}, "info", id="two squatting, photos not sure"
        ),
        pytest.param([PATTERN], 0, 0, {}, "warning", id="a patch"),
        pytest.param([PATTERN], 0, 0, {"turned_here": 6}, "warning", id="turned here"),
        pytest.param([PATTERN], 0, 0, {"turned_here": 6, "out_of_hours": True}, "critical", id="turned out of hours"),
        pytest.param([PATTERN, PHOTOS], 2, 2, {}, "critical", id="a patch and photos of it"),
        pytest.param([LINGERING], 0, 0, {}, "info", id="lingering"),
        pytest.param([LINGERING], 0, 0, {"posture": "crouched", "people": 2}, "info", id="two squatting"),
        pytest.param([LINGERING], 0, 0, {"out_of_hours": True}, "warning", id="lingering out of hours"),
        pytest.param([BLIND], 0, 0, {"carried": 2, "visits": 4}, "info", id="out of sight with parcels, often"),
        pytest.param([BLIND], 0, 0, {"carried": 2, "out_of_hours": True}, "warning", id="out of sight out of hours"),
        pytest.param(
            [BLIND, LINGERING], 0, 0, {"carried": 1, "posture": "crouched"}, "warning", id="squatting, then gone"
        ),
        pytest.param([TAMPER], 0, 0, {"what": "covered"}, "warning", id="covered"),
        pytest.param([TAMPER], 0, 0, {"what": "dark"}, "info", id="too dark"),
    ],
)
def test_harm(kinds: list[IncidentKind], photos: int, labels: int, facts: dict[str, Any], expected: str) -> None:
    assert severity(kinds, photos, CountRange(labels, labels, labels), facts).value == expected


def test_points_name_what_counts() -> None:
    told = points([PHOTOS, LINGERING], 4, CountRange(4, 5, 9), {"people": 2, "out_of_hours": True})
    assert told == {"label_photography": 4, "lingering": 1, "serial": 4, "labels": 2, "out_of_hours": 3, "pair": 1}


def test_every_kind_has_its_place() -> None:
    assert set(GRAVITY) == set(IncidentKind)
    assert all(points([kind], 0, NO_LABELS, {}) for kind in IncidentKind)


names = st.sampled_from(["people", "out_of_hours", "turned_here", "crouched", "carried", "visits", "pace_per_min"])
kinds = st.sets(st.sampled_from(IncidentKind), min_size=1)


@given(kinds, st.integers(0, 50), st.integers(0, 50), st.sets(names), names, st.floats() | st.none() | st.text())
def test_more_harm_is_never_less_severe(
    found: set[IncidentKind], photos: int, labels: int, known: set[str], more: str, junk: Any
) -> None:
    facts: dict[str, Any] = dict.fromkeys(known, 3)
    before = severity(found, photos, CountRange(labels, labels, labels), facts)
    assert severity(found, photos + 1, CountRange(labels, labels + 1, labels + 1), facts).rank >= before.rank
    assert severity(found, photos, CountRange(labels, labels, labels), {**facts, more: 9}).rank >= before.rank
    severity(found, photos, CountRange(labels, labels, labels), {**facts, more: junk})


def test_photos_that_are_not_sure_only_inform_however_many() -> None:
    facts = {"photos": 6, "pace_per_min": 12.0, "unsure": True}
    assert severity([PHOTOS], 6, CountRange(6, 20, 40), facts) is Severity.INFO
    assert severity([PHOTOS, PATTERN], 6, CountRange(6, 20, 40), facts) is Severity.WARNING
