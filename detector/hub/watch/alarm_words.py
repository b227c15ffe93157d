"""What an alarm says: one line of what is wrong, one of what to do, in plain words of a language."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from detector.clock import on_the_wall
from detector.hub.edges.cameras import TROUBLES
from detector.hub.texts import Phrases
from detector.hub.watch.alarms import KINDS, Alarm


def title(alarm: Alarm, say: Phrases, zone: ZoneInfo) -> str:
    """What is wrong."""
    if alarm.kind not in KINDS:
        return alarm.kind
    key = "alarm_" + alarm.kind
    special = f"{key}_{alarm.facts.get('way')}"
    return say(special if say.either(special, "") else key, **_values(alarm, say, zone))


def advice(alarm: Alarm, say: Phrases, zone: ZoneInfo) -> str:
    """What to do about it."""
    if (trouble := alarm.facts.get("trouble")) in TROUBLES:
        return say.gap.join((say(f"trouble_{trouble}"), say(f"trouble_help_{trouble}")))
    if alarm.kind not in KINDS:
        return ""
    told = say("alarm_do_" + alarm.kind, **_values(alarm, say, zone))
    return say.either(f"alarm_do_{alarm.kind}_{alarm.facts.get('way')}", told)


def _values(alarm: Alarm, say: Phrases, zone: ZoneInfo) -> dict[str, Any]:
    """Everything that a text may name."""
    facts = alarm.facts
    by = facts.get("by") or {}
    began, ended = facts.get("from", alarm.began_at), facts.get("to", alarm.began_at)
    backup_at = facts.get("backup_at")
    return {
        "name": f"{alarm.site} / {alarm.edge}",
        "title": facts.get("title") or alarm.camera,
        "n": facts.get("n", 0),
        "of": facts.get("of", 0),
        "backlog": facts.get("backlog", 0),
        "oldest": say.span(facts.get("oldest_s", 0)),
        "why": " · ".join(say("why_" + reason) for reason, n in by.items() if n) or say("why_unknown"),
        "free": facts.get("free_gb", 0),
        "percent": facts.get("percent", 0),
        "offset": f"{facts.get('offset_s', 0):+.1f}",
        "from": moment(began, zone),
        "to": moment(ended, zone),
        "span": say.span(ended - began),
        "file": facts.get("file", ""),
        "known": facts.get("known", ""),
        "own": facts.get("own", ""),
        "rows": facts.get("rows", 0),
        "backup": say("alarm_with_backup", time=moment(backup_at, zone)) if backup_at else "",
    }


def moment(at: float, zone: ZoneInfo) -> str:
    """A time of a site, to the minute."""
    return on_the_wall(datetime.fromtimestamp(at, zone), "%m-%d %H:%M")
