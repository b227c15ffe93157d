"""How recordings of before are looked through for the like of an incident: its time enters, a command leaves.

An archive of a month and dozens of cameras takes weeks to look at whole. Whoever does something every day does it at
like hours, and at the same camera, so that is where to look first.
"""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta

DAYS = 30  # before the incident's
BESIDE = timedelta(hours=1)  # nobody comes to the minute


def look_back(recordings: str, config: str, camera: str, started: datetime, ended: datetime) -> str:
    """The command, for a shell.

    Args:
        recordings: What stands for where they lie, for whoever runs it to put in.
        config: Likewise for the configuration of the camera's box.
        camera: Its name at its box.
        started: When the incident began, on the site's wall.
        ended: When it ended.
    """
    first, until = whole_hours(started, ended)
    days = ["--from", (first.date() - timedelta(days=DAYS)).isoformat(), "--to", first.date().isoformat()]
    hours = ["--hours", f"{first:%H:%M}-{until:%H:%M}"] if until - first < timedelta(days=1) else []
    words = ["--camera", camera, *days, *hours, "--out", f"look-back-{camera}-{started:%Y-%m-%d}", "--publish"]
    return shlex.join(["labelwatch", "replay", recordings, "--config", config, *words])


def whole_hours(started: datetime, ended: datetime) -> tuple[datetime, datetime]:
    """The hours of the day round a stretch of time, and `BESIDE` on either side; on the wall, without a zone."""
    begin, end = (at.replace(tzinfo=None) for at in (started, max(started, ended)))
    first, until = begin - BESIDE, end + BESIDE
    since = first.replace(minute=0, second=0, microsecond=0)
    up_to = until.replace(minute=0, second=0, microsecond=0)
    return since, up_to if up_to == until else up_to + timedelta(hours=1)
