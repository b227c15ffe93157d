"""What an incident says of itself: a record enters, one Chinese or English sentence built from its facts leaves.

The edge writes it into the record, the hub and the report show it: the same words everywhere. What is not known is
left out, and what makes no sense (an edge may be newer, or its memory torn) counts as not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from detector.clock import unix
from detector.facts import count, holds, names, number
from detector.findings import kinds_of
from detector.values import Incident, IncidentKind

LANGUAGES = ("zh", "en")

# In a text "one|many", the number decides which is said.
ZH = {
    "incident": "事件",
    "seconds": "{n} 秒",
    "minutes": "{n} 分钟",
    "hours": "{n} 小时",
    "hours_minutes": "{h} 小时 {m} 分",
    "days": "{n} 天",
    "people": "{n} 人",
    "people_squatting": "{n} 人蹲着",
    "people_at_least": "至少 {n} 人",
    "people_at_least_squatting": "至少 {n} 人蹲着",
    "photos": "拍照 {n} 次",
    "unsure": "不太确定",
    "labels": "暴露面单约 {n} 张",
    "pace": "每分钟 {n} 次",
    "along_row": "沿着一排拍过去",
    "other_zones": "还涉及区域 {zones}",
    "scans": "另外扫码 {n} 次",
    "scans_only": "扫码 {n} 次",
    "staying": "停留在货堆旁",
    "staying_here": "停留在这里",
    "stayed": "共停留 {span}",
    "squatting_for": "其中蹲着 {span}",
    "away": "走到看不见的地方 {span}",
    "away_unknown": "走到看不见的地方",
    "still_inside": "还没有出来",
    "carried": "带着包裹进去",
    "visits": "本班第 {n} 次",
    "visits_day": "当天第 {n} 次",
    "out_of_hours": "非工作时间",
    "carries_on": "接上一条告警",
    "patch": "这一片 {of} 件包裹中 {n} 件面单朝上",
    "zone": "这个区域 {of} 件包裹中 {n} 件面单朝上",
    "patch_unknown": "这一片包裹的面单异常地多朝上",
    "turned_here": "其中 {n} 件是在这里翻的",
    "arrived_up": "{n} 件来时就朝上",
    "lay_up": "{n} 件在开始观察时就朝上",
    "aligned": "摆得整齐",
    "regular": "排成行列",
    "usual": "平时 {of} 件中约 {n} 件",
    "supposed": "此处平时情况尚未学到，先按 {of} 件中约 {n} 件算",
    "cut_off": "边缘设备中途重启，之后的情况不明",
    "tamper_covered": "摄像机被遮挡",
    "tamper_turned": "摄像机被转动",
    "tamper_defocused": "摄像机失焦",
    "tamper_frozen": "画面卡住不动",
    "tamper_dark": "画面过暗（没有灯光或镜头被盖住）",
    "tamper_silent": "摄像机没有画面",
    "tamper_clock": "摄像机时间跳变",
    "tamper_unknown": "画面被遮挡或镜头被移动",
    "lasting": "{what}，持续 {span}",
    "clock_back": "摄像机时间倒退了 {span}",
}
EN = {
    "incident": "Incident",
    "seconds": "{n} second|{n} seconds",
    "minutes": "{n} minute|{n} minutes",
    "hours": "{n} hour|{n} hours",
    "hours_minutes": "{h} h {m} min",
    "days": "{n} day|{n} days",
    "people": "one person|{n} people",
    "people_squatting": "one person squatting|{n} people squatting",
    "people_at_least": "at least one person|at least {n} people",
    "people_at_least_squatting": "at least one person squatting|at least {n} people squatting",
    "photos": "{n} photo|{n} photos",
    "unsure": "not sure",
    "labels": "{n} label exposed|{n} labels exposed",
    "pace": "{n} a minute",
    "along_row": "along a row",
    "other_zones": "also in {zones}",
    "scans": "{n} scan besides|{n} scans besides",
    "scans_only": "{n} scan|{n} scans",
    "staying": "staying beside the parcels",
    "staying_here": "staying here",
    "stayed": "stayed {span} in all",
    "squatting_for": "squatting for {span} of it",
    "away": "out of sight for {span}",
    "away_unknown": "out of sight",
    "still_inside": "not back yet",
    "carried": "went in with parcels",
    "visits": "visit {n} of this shift",
    "visits_day": "visit {n} of this day",
    "out_of_hours": "out of hours",
    "carries_on": "carrying on from the alert before",
    "patch": "{n} of {of} parcel in this patch was label up|{n} of {of} parcels in this patch were label up",
    "zone": "{n} of {of} parcel in this zone was label up|{n} of {of} parcels in this zone were label up",
    "patch_unknown": "unusually many parcels in this patch were label up",
    "turned_here": "{n} of them turned here",
    "arrived_up": "{n} arrived so",
    "lay_up": "{n} lay so when watching began",
    "aligned": "all lying square to each other",
    "regular": "laid out in rows",
    "usual": "usual here: {n} of {of}",
    "supposed": "supposed until what is usual here is learned: {n} of {of}",
    "cut_off": "the edge was restarted meanwhile, what followed isn't known",
    "tamper_covered": "camera covered",
    "tamper_turned": "camera turned away",
    "tamper_defocused": "camera out of focus",
    "tamper_frozen": "picture frozen",
    "tamper_dark": "picture too dark (no light, or a covered lens)",
    "tamper_silent": "no picture from the camera",
    "tamper_clock": "the camera's time jumped",
    "tamper_unknown": "camera covered or moved",
    "lasting": "{what} for {span}",
    "clock_back": "the camera's time jumped {span} back",
}
TEXTS: Mapping[str, Mapping[str, str]] = {"zh": ZH, "en": EN}
COMMA = {"zh": "，", "en": ", "}
LIST_COMMA = {"zh": "、", "en": ", "}
SEMICOLON = {"zh": "；", "en": "; "}

KIND_NAMES: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "label_photography": "拍摄面单",
        "orientation_pattern": "面单成片朝上",
        "lingering": "停留",
        "blind_corner": "进入死角",
        "tamper": "摄像机异常",
    },
    "en": {
        "label_photography": "Labels photographed",
        "orientation_pattern": "A patch of labels facing up",
        "lingering": "Lingering",
        "blind_corner": "Blind corner",
        "tamper": "Camera trouble",
    },
}
SEVERITY_NAMES: Mapping[str, Mapping[str, str]] = {
    "zh": {"info": "提示", "warning": "注意", "critical": "严重"},
    "en": {"info": "Note", "warning": "Warning", "critical": "Critical"},
}

MOSTLY = 0.5  # from this share of the acts on, squatting is said of the whole
LONGEST_KIND = 60
MOST_ZONES = 3
LONGEST_SENTENCE = 300


def sentence(told: Incident | Mapping[str, Any], language: str) -> str:
    """One sentence on an incident, without a full stop.

    Args:
        told: An incident, its record on the wire (`wire.incident_record`), or its line in `incidents.jsonl`.
        language: `zh` or `en`.
    """
    return SEMICOLON[language].join(clauses(told, language))


def sentences(told: Incident | Mapping[str, Any]) -> dict[str, str]:
    """The sentence in every language, as records hold it."""
    return {language: sentence(told, language) for language in LANGUAGES}


def clauses(told: Incident | Mapping[str, Any], language: str) -> list[str]:
    """The parts of the sentence, which a page may set in lines: people, parcels, camera; at least one."""
    record = _record(told)
    say = _Words(language)
    kinds = kinds_of(record)
    parts: list[str] = []
    if kinds & {IncidentKind.LABEL_PHOTOGRAPHY, IncidentKind.LINGERING, IncidentKind.BLIND_CORNER}:
        parts.append(COMMA[language].join(_people_items(record, kinds, say)))
    if IncidentKind.ORIENTATION_PATTERN in kinds:
        patch = _patch(record["facts"], say)
        if not parts and holds(record["facts"], "out_of_hours"):  # else it is said of the people
            patch.append(say("out_of_hours"))
        parts.append(SEMICOLON[language].join(patch))
    if IncidentKind.TAMPER in kinds:
        parts.append(_tamper(record, say))
    last = [say("cut_off")] if record["facts"].get("ended_by") == "restart" else []
    parts = [part for part in parts if part]
    if not parts:
        return [_other(record, language, say), *last]
    return [parts[0][:1].upper() + parts[0][1:], *parts[1:], *last]


def count_range(low: int, high: int) -> str:
    """A count that may be uncertain: `4` or `3–6`."""
    return str(low) if low == high else f"{low}–{high}"


def labels_exposed(low: int, high: int, language: str) -> str:
    """How many labels were exposed, as a sentence says it."""
    return _Words(language)("labels", n=count_range(low, high), plural=high)


def photos_counted(told: Incident | Mapping[str, Any]) -> int:
    """How many photos an incident tells of; among its acts may be more, that are fine there or look like scans."""
    return _photos(_record(told))


def photographed(told: Incident | Mapping[str, Any]) -> tuple[float, float] | None:
    """From when to when photos were taken where an incident tells of a stay as well, which is longer; else `None`.

    In the seconds by which its acts are told. `None` too where they aren't told with their times, or not all of them.
    """
    return _photographed(_record(told))


def squats(facts: Mapping[str, Any]) -> bool:
    """Whether somebody squatted for most of it: while they lingered, or by the share of acts done so."""
    return facts.get("posture") == "crouched" or (number(facts, "crouched") or 0.0) >= MOSTLY


@dataclass(frozen=True, slots=True)
class _Words:
    """The texts of one language."""

    language: str

    def __call__(self, key: str, *, plural: int | None = None, **values: Any) -> str:
        text = TEXTS[self.language][key]
        if "|" in text:
            one, many = text.split("|")
            text = one if (values["n"] if plural is None else plural) == 1 else many
        return text.format(**values)

    def span(self, seconds: float) -> str:
        """A length of time in words: seconds up to one and a half minutes, then minutes, then hours."""
        whole = max(0, round(seconds))
        minutes = round(whole / 60)
        if whole < 90:
            return self("seconds", n=whole)
        if minutes < 60:
            return self("minutes", n=minutes)
        if minutes >= 48 * 60:
            return self("days", n=minutes // (24 * 60))
        hours, m = divmod(minutes, 60)
        return self("hours_minutes", h=hours, m=m) if m else self("hours", n=hours)


def _record(told: Incident | Mapping[str, Any]) -> dict[str, Any]:
    """The fields that sentences need, each there and of its type; `span_s` may be `None`."""
    if isinstance(told, Incident):
        labels = (told.labels_exposed.low, told.labels_exposed.high)
        return {
            "kind": told.kind.value,
            "findings": list(told.findings),
            "facts": told.facts,
            "span_s": max(0.0, told.ended_at - told.started_at),
            "acts": [
                {"kind": act.kind.value, "track": act.track, "times": (act.started_at, act.ended_at)}
                for act in told.acts
            ],
            "tracks": list(told.tracks),
            "labels": labels,
        }
    exposed = _mapping(told.get("labels_exposed"))
    return {
        "kind": str(told.get("kind") or ""),
        "findings": told.get("findings"),
        "facts": _mapping(told.get("facts")),
        "span_s": _length(_times(told)),
        "acts": [{**act, "times": _times(act)} for act in _list(told.get("acts")) if isinstance(act, Mapping)],
        "tracks": _list(told.get("tracks")),
        "labels": (count(exposed, "low"), max(count(exposed, "low"), count(exposed, "high"))),
        "sentence": _mapping(told.get("sentence")),
    }


def _times(record: Mapping[str, Any]) -> tuple[float, float] | None:
    """From when to when something was, in seconds of whatever clock its record has."""
    for begin, end in (("started_at_unix", "ended_at_unix"), ("start_offset_s", "end_offset_s")):
        # Unix seconds are beyond what a count may be.
        values = [record.get(begin), record.get(end)]
        if all(isinstance(v, int | float) and not isinstance(v, bool) and isfinite(v) for v in values):
            return float(values[0]), float(values[1])  # type: ignore[arg-type]
    try:
        return unix(str(record["started_at"])), unix(str(record["ended_at"]))
    except (KeyError, ValueError, OverflowError):
        return None


def _length(times: tuple[float, float] | None) -> float | None:
    return None if times is None else max(0.0, times[1] - times[0])


def _people_items(record: Mapping[str, Any], kinds: set[str], say: _Words) -> list[str]:
    facts = record["facts"]
    photos = _photos(record) if IncidentKind.LABEL_PHOTOGRAPHY in kinds else 0
    items = [*_span_item(record, kinds, say), *_who(record, photos, say), *_photo_items(record, photos, say)]
    low, high = record["labels"]
    labels = [labels_exposed(low, high, say.language)] if high else []
    scans = _scan_items(facts, photos, say) if IncidentKind.LABEL_PHOTOGRAPHY in kinds else []
    items += [*labels, *scans] if photos else [*scans, *labels]  # what exposed the labels comes before them
    zones = [zone[:LONGEST_KIND] for zone in names(facts, "other_zones")[:MOST_ZONES]]
    items += [say("other_zones", zones=LIST_COMMA[say.language].join(zones))] if zones else []
    if IncidentKind.LINGERING in kinds:
        items += _lingering_items(facts, photos, say)
    if IncidentKind.BLIND_CORNER in kinds:
        items += _corner_items(facts, say)
    items += [say("out_of_hours")] if holds(facts, "out_of_hours") else []
    told_before = holds(facts, "acts_told_earlier") or holds(facts, "told_before")
    return items + ([say("carries_on")] if told_before else [])


def _span_item(record: Mapping[str, Any], kinds: set[str], say: _Words) -> list[str]:
    span_s = record["span_s"]
    if taken := _photographed(record):  # how long they stayed as well is said there
        span_s = _length(taken)
    if kinds == {IncidentKind.LINGERING}:
        span_s = number(record["facts"], "stay_s") or span_s
    # How long somebody was away behind a corner is said there.
    return [] if span_s is None or kinds == {IncidentKind.BLIND_CORNER} else [say.span(span_s)]


def _photographed(record: Mapping[str, Any]) -> tuple[float, float] | None:
    kinds, photos = kinds_of(record), _photos(record)
    stays = IncidentKind.LABEL_PHOTOGRAPHY in kinds and kinds & {IncidentKind.LINGERING, IncidentKind.BLIND_CORNER}
    times = [act["times"] for act in record["acts"] if act.get("kind") == "photo" and act["times"]]
    if not stays or not photos or len(times) < photos:  # of very many, a record has only some
        return None
    return min(begins for begins, _ in times), max(ends for _, ends in times)


def _photo_items(record: Mapping[str, Any], photos: int, say: _Words) -> list[str]:
    facts, items = record["facts"], []
    if photos:
        items.append(say("photos", n=photos))
        items += [say("unsure")] if holds(facts, "unsure") else []
        pace = round(number(facts, "pace_per_min") or 0.0)
        items += [say("pace", n=pace)] if photos > 2 and pace > 1 else []
        items += [say("along_row")] if holds(facts, "along_row") else []
    return items


def _scan_items(facts: Mapping[str, Any], photos: int, say: _Words) -> list[str]:
    scans = count(facts, "scans")
    if not scans:
        return []
    unsure = [say("unsure")] if not photos and holds(facts, "unsure") else []
    return [say("scans" if photos else "scans_only", n=scans), *unsure]


def _lingering_items(facts: Mapping[str, Any], photos: int, say: _Words) -> list[str]:
    if not photos:
        items = [say("staying_here" if number(facts, "parcels") == 0 else "staying")]
    else:  # whose own time is said first
        stay_s = number(facts, "stay_s")
        items = [say("stayed", span=say.span(stay_s))] if stay_s else []
    crouched_s = number(facts, "crouched_s") or 0.0
    if crouched_s >= 1 and not squats(facts):
        items.append(say("squatting_for", span=say.span(crouched_s)))
    return items


def _corner_items(facts: Mapping[str, Any], say: _Words) -> list[str]:
    away_s = number(facts, "away_s")
    items = [say("away", span=say.span(away_s)) if away_s and away_s > 0 else say("away_unknown")]
    items += [say("still_inside")] if holds(facts, "still_inside") else []
    items += [say("carried")] if holds(facts, "carried") else []
    visits = count(facts, "visits")
    # Outside all shifts, and where none are given, they are those of the calendar's day.
    within = "visits_day" if facts.get("shift", "") is None else "visits"
    return items + ([say(within, n=visits)] if visits > 1 else [])


def _photos(record: Mapping[str, Any]) -> int:
    # An incident's acts may hold photos that its facts don't count.
    if number(record["facts"], "photos") is not None:
        return count(record["facts"], "photos")
    return sum(act.get("kind") == "photo" for act in record["acts"])


def _who(record: Mapping[str, Any], photos: int, say: _Words) -> list[str]:
    """How many people and in what posture; nothing where no number is known."""
    facts = record["facts"]
    photographers = {str(act.get("track")) for act in record["acts"] if act.get("kind") == "photo"}
    # A person who leaves and comes back is a new track, so tracks only say how many people it can have been at most.
    most = len(photographers) if photos and photographers else len({str(track) for track in record["tracks"]})
    least = count(facts, "people") or count(facts, "people_inside") or most
    most = max(least, most)
    if not most:
        return []
    posture = "_squatting" if squats(facts) else ""
    if most > 2 * least:  # tracks broke so often that they say nothing
        return [say(f"people_at_least{posture}", n=least, plural=least)]
    return [say(f"people{posture}", n=count_range(least, most), plural=most)]


def _patch(facts: Mapping[str, Any], say: _Words) -> list[str]:
    shares = (
        (place, count(facts, up), count(facts, of))
        for place, up, of in (("patch", "up", "judged"), ("zone", "zone_up", "zone_judged"))
        if number(facts, up) is not None
    )
    place, up, of = next((share for share in shares if 0 < share[2] >= share[1]), ("", 0, 0))
    if not place:
        return [say("patch_unknown")]
    items = [say(place, n=up, of=of, plural=of)]
    turned, arrived = count(facts, "turned_here"), count(facts, "arrived_up")
    items += [say("turned_here", n=turned)] if 0 < turned <= of else []
    items += [say("arrived_up", n=arrived)] if 0 < arrived <= of and turned else []
    lay = count(facts, "lay_up")
    items += [say("lay_up", n=lay)] if 0 < lay <= of and (turned or arrived) else []
    items += [say("aligned")] if holds(facts, "aligned") else []
    items += [say("regular")] if holds(facts, "regular") else []
    told = [COMMA[say.language].join(items)]
    rate = number(facts, "usual_rate")
    if rate is not None and 0 <= rate <= 1:
        told.append(say("supposed" if holds(facts, "usual_supposed") else "usual", n=round(rate * of), of=of))
    return told


def _tamper(record: Mapping[str, Any], say: _Words) -> str:
    facts = record["facts"]
    what, step_s = str(facts.get("what")), number(facts, "step_s")
    if what == "clock":
        return say("clock_back", span=say.span(-step_s)) if step_s and step_s < 0 else say("tamper_clock")
    said = say(f"tamper_{what}" if f"tamper_{what}" in ZH else "tamper_unknown")
    lasted_s = number(facts, "lasted_s")
    lasted_s = record["span_s"] if lasted_s is None else lasted_s
    return said if not lasted_s or lasted_s < 0 else say("lasting", what=said, span=say.span(lasted_s))


def _other(record: Mapping[str, Any], language: str, say: _Words) -> str:
    """A kind that came from an edge newer than this program: the words it sent, or else its name."""
    sent = record.get("sentence", {}).get(language)
    if isinstance(sent, str) and sent.strip():
        return sent.strip()[:LONGEST_SENTENCE]
    kind = KIND_NAMES[language].get(record["kind"]) or str(record["kind"])[:LONGEST_KIND] or say("incident")
    return COMMA[language].join([kind, *([say.span(record["span_s"])] if record["span_s"] is not None else [])])


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
