"""How to look through recordings of before for the like of an incident."""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.cli import build_parser
from detector.hub.desk.look_back import BESIDE, DAYS, look_back
from detector.recorded.asked import Asked

SHANGHAI = ZoneInfo("Asia/Shanghai")
moments = st.datetimes(datetime(2026, 2, 1), datetime(2027, 2, 1), timezones=st.just(SHANGHAI))  # noqa: DTZ001


def asked(command: str) -> Asked:
    """What whoever runs the command asks for."""
    words = shlex.split(command)
    assert words[0] == "labelwatch"
    options = build_parser().parse_args(words[1:])
    assert options.publish
    return Asked("Asia/Shanghai", tuple(options.camera), options.first, options.last, options.hours)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("started", "ended", "limits"),
    [
        pytest.param("2026-11-29T13:20", "2026-11-29T13:27",
                     "--from 2026-10-30 --to 2026-11-29 --hours 12:00-15:00", id="after lunch"),
        pytest.param("2026-11-29T13:00", "2026-11-29T13:00",
                     "--from 2026-10-30 --to 2026-11-29 --hours 12:00-14:00", id="to the hour"),
        pytest.param("2026-11-29T23:50", "2026-11-30T00:20",
                     "--from 2026-10-30 --to 2026-11-29 --hours 22:00-02:00", id="over midnight"),
        pytest.param("2026-11-29T00:20", "2026-11-29T00:40",
                     "--from 2026-10-29 --to 2026-11-28 --hours 23:00-02:00", id="just after midnight"),
        pytest.param("2026-11-29T03:00", "2026-11-30T01:00", "--from 2026-10-30 --to 2026-11-29 --out", id="all day"),
    ],
)  # fmt: skip
def test_the_month_before_is_looked_through_at_the_hours_of_the_incident(started: str, ended: str, limits: str) -> None:
    command = look_back("/nvr", "site.yaml", "dock-3", at(started), at(ended))
    assert f"replay /nvr --config site.yaml --camera dock-3 {limits}" in command


@given(moments, st.integers(0, 20 * 3600), st.integers(0, DAYS))
def test_the_same_minutes_of_every_day_before_are_asked_for(started: datetime, seconds: int, day: int) -> None:
    ended = started + timedelta(seconds=seconds)
    of = asked(look_back("/nvr", "site.yaml", "dock-3", started, ended))
    begin, until = ((edge - timedelta(days=day)).timestamp() for edge in (started - BESIDE, ended + BESIDE))
    assert list(of.spans(begin, until)) == [(begin, until)]
    assert of.cameras == ("dock-3",)


@pytest.mark.parametrize(("kind", "shown"), [("label_photography", True), ("tamper", False)])
def test_the_page_of_an_incident_tells_how(site: Any, envelope: Any, kind: str, shown: bool) -> None:
    site.store.add_alerts([envelope(1, kind=kind)], 1_793_505_600.0)
    page = site.client.get("/incidents/inc-1").text
    assert ("labelwatch replay " in re.sub("<[^>]*>", "", page)) is shown
    assert ("以前有没有过" in page) is shown
