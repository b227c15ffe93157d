"""A replay as one page a manager can open: summary and incidents enter, a self-contained `report.html` leaves.

It answers first what is asked first: which day, where, who, how many labels; and says last what was not seen. Tables
for a spreadsheet lie beside it, and so do the clips, which the page plays wherever the folder is copied to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup

from detector.clock import on_the_wall, unix
from detector.config import EdgeConfig
from detector.findings import is_sweep
from detector.machine.progress import span
from detector.recorded.recordings import FILE_DATE, UNDATED, VAGUE
from detector.recorded.spots import shown
from detector.report.answer import WEEKDAYS_ZH, Answer, answer_of, labels, who
from detector.report.bilingual import both, speaker, template
from detector.report.calendar import Day, weeks
from detector.report.drawing import Days, WatchedDay, parcel_days, watched_days
from detector.report.pictures import sources
from detector.report.reach import reaches
from detector.report.reasons import in_chinese
from detector.report.squeezed import squeezed
from detector.report.tables import Tables
from detector.report.tally import Keys, PersonShift, Sum, is_doubtful, sums
from detector.report.texts import EN, ZH
from detector.sentences import KIND_NAMES, SEVERITY_NAMES, count_range, photos_counted, sentence
from detector.shifts import Shifts

SHAPES = {"critical": "■", "warning": "▲", "info": "●"}
MOST_LISTED = 50  # of what could not be seen, in each list; the rest is in summary.json
OVERLAP_S = 10.0  # recorders begin a file some seconds before the one before it ends
WEEKDAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BLIND = frozenset({"tamper"})

Record = Mapping[str, Any]

_say = speaker(ZH, EN)


def write_report(
    out: Path,
    summary: Mapping[str, Any],
    incidents: Sequence[Record],
    config: EdgeConfig,
    census: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
) -> Path:
    """Write `report.html`, and the tables `incidents`, `exposed` and `people` (`tables.Tables`).

    Args:
        out: The folder of the replay, with the incidents' pictures in it.
        summary: As in `summary.json`.
        incidents: As in `incidents.jsonl`.
        config: Whose time zone and shifts hold.
        census: How parcels lay, see `drawing.parcel_days`.

    Raises:
        OSError: They can't be written.
    """
    zone, days = ZoneInfo(config.timezone), Days(config.timezone)
    keys = Keys(Shifts(config.calendar, config.timezone), bool(config.calendar.shifts))
    titles = {camera["camera"]: camera["title"] for camera in summary["cameras"]}

    def local(at: str) -> str:
        return on_the_wall(datetime.fromtimestamp(unix(at), zone), "%Y-%m-%d %H:%M:%S")

    told = shown(incidents)
    by_place = sums(told, lambda one: (keys.day(one), *keys.zone(one)))
    by_person = sums(told, keys.person_shift)
    tables = Tables(out, titles)
    tables.incidents(incidents, local)
    tables.exposed(by_place)
    tables.people(by_person)
    listed = _listed(out, told, incidents, titles, local)
    watched = watched_days(
        summary["recordings"], [{**one, "id": one.get("same_as", one["id"])} for one in incidents], days
    )
    by_day = _every_day(watched, sums(told, keys.day), summary["recordings"], days)
    page = _page().render(
        summary=summary,
        answer=answer_of(told, keys),
        doubtful=sum(map(is_doubtful, told)),
        sweeps=_by_day([one for one in listed if is_sweep(one)], keys),
        others=sorted((one for one in listed if not is_sweep(one)), key=is_doubtful, reverse=True),
        by_day=by_day,
        weeks=weeks(by_day),
        most_in_a_day=max((one.found.best for one in by_day), default=0),
        camera_hours=24 * max(1, len({row.camera for row in watched})),
        by_zone=sums(told, keys.zone),
        by_person=by_person,
        person_shift=keys.person_shift,
        has_shifts=bool(config.calendar.shifts),
        watched=watched,
        seen=_seen(summary),
        parcels=parcel_days(census, days),
        asked=_asked(summary, titles),
        **_unseen(summary, incidents, config),
        zone=config.timezone,
        title=lambda camera: titles.get(camera, camera),
        local=local,
        most=MOST_LISTED,
        longest=_longest,
    )
    path = out / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _asked(summary: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Which cameras, days and times of day were asked for; empty where all were."""
    asked = summary.get("asked")
    if not asked:
        return ""
    cameras = ", ".join(titles.get(camera, camera) for camera in asked["cameras"])
    first, last, hours = asked["from"] or "", asked["to"] or "", asked["hours"] or ""
    days = first if first == last else f"{first} – {last}".strip()
    return " · ".join(filter(None, (cameras, days, hours.replace("-", "–"))))


def _listed(
    out: Path,
    told: Sequence[Record],
    incidents: Sequence[Record],
    titles: Mapping[str, str],
    local: Callable[[str], str],
) -> list[dict[str, Any]]:
    """Incidents as the page lists them, each with what other cameras told of it beside it."""
    pictures = sources(out, told)
    beside: dict[str, list[dict[str, Any]]] = {one["id"]: [] for one in told}
    for one in incidents:
        if one.get("same_as") in beside:
            beside[one["same_as"]].append({"title": titles.get(one["camera"], one["camera"]), "clip": one["clip"]})
    return [_shown(one, pictures.get(one["id"]), local) | {"beside": beside[one["id"]]} for one in told]


def _unseen(summary: Mapping[str, Any], incidents: Sequence[Record], config: EdgeConfig) -> dict[str, Any]:
    """What was not seen, or not as it should be, for the page's last part; `missed` where anything was."""
    aside = {item["file"] for item in summary["quarantined"]}
    glanced_h = summary.get("hours_key_frames_only", 0.0)
    blind = [incident for incident in incidents if incident["kind"] in BLIND]
    reached = reaches(summary["cameras"], config)
    too_far = any(reach.is_mostly_too_far for reach in reached)
    twice = any(one["seconds"] >= OVERLAP_S for one in summary["overlaps"])  # and one of two was not looked at
    dated, after = (
        [file for file in summary["recordings"] if file["start_known_by"] == how and file["seconds"]]
        for how in (FILE_DATE, VAGUE)
    )
    names = {camera["camera"] for camera in summary["cameras"]}
    asked_cameras = summary.get("asked", {}).get("cameras")  # and that each has recordings was seen to
    return {
        "reaches": reached,
        "unreadable": [item for item in summary["unreadable"] if item["file"] not in aside],
        "blind": blind,
        "dated": dated,
        "after": after,
        "strange": [camera["title"] for camera in summary["cameras"] if camera["size"] and not camera["configured"]],
        "squeezed": squeezed(summary["cameras"], config),
        "absent": [] if asked_cameras else [c.title or c.name for c in config.cameras if c.name not in names],
        "missed": bool(summary["unreadable"] or summary["gaps"] or blind or glanced_h or too_far or twice),
        "glanced_h": glanced_h,
    }


def _by_day(incidents: Sequence[Record], keys: Keys) -> dict[date, list[Record]]:
    found: dict[date, list[Record]] = {}
    for incident in incidents:
        found.setdefault(keys.day(incident), []).append(incident)
    return found


def _every_day(
    watched: Iterable[WatchedDay], found: Mapping[date, Sum], recordings: Iterable[Record], days: Days
) -> list[Day]:
    """Each day that was watched, on which something was found, or of which there is a file that can't be read."""
    hours: defaultdict[date, float] = defaultdict(float)
    for row in watched:
        hours[row.day] += row.hours
    dated = [file for file in recordings if "unreadable" in file and file["start_known_by"] != UNDATED]
    unread = Counter(days.of(unix(file["start"]))[0] for file in dated)
    return [Day(day, found.get(day, Sum()), hours[day], unread[day]) for day in sorted({*hours, *found, *unread})]


def _seen(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each camera how long it was watched, how long there is nothing, and how many files weren't read whole."""
    rows = {
        camera["camera"]: {"title": camera["title"], "seconds": 3600 * camera["hours"], "gaps_s": 0.0, "unread": 0}
        for camera in summary["cameras"]
    }
    for gap in summary["gaps"]:
        rows[gap["camera"]]["gaps_s"] += gap["seconds"]
    for file in summary["recordings"]:
        rows[file["camera"]]["unread"] += "unreadable" in file
    return list(rows.values())


def _longest(borders: Sequence[Record]) -> list[Record]:
    """The longest of gaps or overlaps in their order, as many as are listed: a day among breaks of a minute is told."""
    kept = sorted(range(len(borders)), key=lambda n: -borders[n]["seconds"])[:MOST_LISTED]
    return [borders[n] for n in sorted(kept)]


def _shown(incident: Record, picture: str | None, local: Callable[[str], str]) -> dict[str, Any]:
    """An incident with what the page shows of it; times are the site's."""
    exposed, word = incident["labels_exposed"], incident["severity"]
    return {
        **incident,
        "picture": picture,
        "carried": bool(picture and picture.startswith("data:")),
        "shape": SHAPES[word],
        "kind_words": both(lambda language: KIND_NAMES[language][incident["kind"]]),
        "severity_words": _severity(word),
        "sentence_words": both(lambda language: sentence(incident, language)),
        "exposed": count_range(exposed["low"], exposed["high"]) if exposed["high"] else "",
        "photos": photos_counted(incident),
        "from_until": _from_until(local(incident["started_at"]), local(incident["ended_at"])),
        "within": "–".join(dict.fromkeys(f"{incident[f'{edge}_offset_s']:.1f}" for edge in ("start", "end"))),
    }


def _from_until(begins: str, ends: str) -> str:
    """From when to when, with the day of the end where that is another: `2026-11-01 09:26:13 – 09:27:00`."""
    if begins == ends:
        return begins
    return f"{begins} – {ends[11:] if ends[:10] == begins[:10] else ends}"


def _why(item: Mapping[str, Any]) -> Markup:
    return both(lambda language: in_chinese(item["why"], item["file"]) if language == "zh" else item["why"])


def _percent(low: float, high: float) -> str:
    low, high = round(100 * low), round(100 * high)
    return f"{low} %" if low == high else f"{low}–{high} %"


def _length(hours: float) -> Markup:
    """A length of time as short as can be: `137 h`, `2.5 h`, `5 min`."""
    if hours < 1:
        return _say("length_min", n=max(1, round(60 * hours)))
    return _say("length_h", n=f"{hours:.0f}" if hours >= 10 else f"{hours:.1f}")


def _answered(answer: Answer, title: str) -> Markup:
    return both(lambda language: answer.words(language, title))


def _who(person: PersonShift) -> Markup:
    return both(lambda language: who(person, language))


def _severity(word: str) -> Markup:
    return both(lambda language: SEVERITY_NAMES[language][word])


def _day(day: date) -> Markup:
    return both(lambda language: f"{day} 周{WEEKDAYS_ZH[day.weekday()]}" if language == "zh" else f"{day:%Y-%m-%d %a}")


def _page() -> jinja2.Template:
    return template(
        Path(__file__).with_name("page.html"),
        say=_say,
        span=span,
        length=_length,
        percent=_percent,
        range_of=labels,
        day_words=_day,
        weekdays=[both({"zh": zh, "en": en}.__getitem__) for zh, en in zip(WEEKDAYS_ZH, WEEKDAYS_EN, strict=True)],
        answered=_answered,
        who=_who,
        shapes=SHAPES,
        severity_words=_severity,
        why=_why,
    )
