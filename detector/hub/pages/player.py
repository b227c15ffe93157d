"""What a player on a page plays: segments enter, the plan that its script reads leaves (`static/player.js`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from detector.hub.desk.charts import FEW_ACTS, Timeline
from detector.hub.pages.view import View
from detector.hub.storage.stored import Clip


def plan_of(view: View, clips: Sequence[Clip], line: Timeline, acts: Sequence[Mapping[str, Any]] = ()) -> str:
    """As JSON: segments, the acts in them, and where the time line begins and ends, in Unix seconds.

    A segment's `names` are those of the zone that go with its times (`View.zone_names`).
    """
    return json.dumps(
        {
            "segments": [_segment(view, clip) for clip in clips],
            "acts": [
                {"start": act["started_at_unix"], "end": act["ended_at_unix"], "kind": str(act.get("kind"))}
                for act in acts[:FEW_ACTS]
            ],
            "zone": view.parts.config.timezone,
            "start": line.start,
            "end": line.end,
        }
    )


def _segment(view: View, clip: Clip) -> dict[str, Any]:
    address = f"/clips/{quote(clip.incident, safe='')}/{clip.segment}"
    return {
        "url": f"{address}/play",
        "side": f"{address}/side" if view.parts.clips.find_side(clip.incident, clip.segment) else None,
        "start": clip.started_at,
        "length": clip.duration_s,
        "names": view.zone_names(clip.started_at, clip.started_at + clip.duration_s),
    }
