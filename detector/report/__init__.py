"""A replay as one page a manager can open: summary and incidents enter, a self-contained `report.html` leaves.

It answers first what is asked first: which day, where, who, how many labels; and says last what was not seen. Tables
for a spreadsheet lie beside it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup

from detector.clock import unix
from detector.config import EdgeConfig
from detector.report import tables
from detector.report.drawing import Days, parcel_days, watched_days
from detector.report.tally import Keys, Sum, is_sweep, sums
from detector.report.texts import EN, ZH
from detector.sentences import KIND_NAMES, SEVERITY_NAMES, count_range, sentence
from detector.shifts import Shifts

SHAPES = {"critical": "■", "warning": "▲", "info": "●"}
MOST_LISTED = 50  # of what could not be seen, in each list; the rest is in summary.json
BLIND = frozenset({"tamper"})

Record = Mapping[str, Any]


def write_report(
    out: Path,
    summary: Mapping[str, Any],
    incidents: Sequence[Record],
    config: EdgeConfig,
    census: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
) -> Path:
    """Write `report.html`, `incidents.csv` and `exposed.csv`.

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

    def local(at: str) -> str:
        return datetime.fromtimestamp(unix(at), zone).strftime("%Y-%m-%d %H:%M:%S")

    by_place = sums(incidents, lambda one: (keys.day(one), *keys.zone(one)))
    tables.write_incidents(out / "incidents.csv", incidents, local)
    tables.write_exposed(out / "exposed.csv", by_place)
    page = _page().render(
        summary=summary,
        incidents=[_shown(out, incident, local) for incident in incidents],
        sweeps=sum(map(is_sweep, incidents)),
        total=_total(sums(incidents, is_sweep).values()),
        by_day=sums(incidents, keys.day),
        by_zone=sums(incidents, keys.zone),
        by_person=sums(incidents, keys.person_shift),
        watched=watched_days(summary["recordings"], incidents, days),
        parcels=parcel_days(census, days),
        blind=[incident for incident in incidents if incident["kind"] in BLIND],
        missed=bool(summary["unreadable"] or summary["gaps"] or any(one["kind"] in BLIND for one in incidents)),
        zone=config.timezone,
        local=local,
        most=MOST_LISTED,
    )
    path = out / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _total(found: Iterable[Sum]) -> Sum:
    return next(iter(found), Sum())


def _shown(out: Path, incident: Record, local: Callable[[str], str]) -> dict[str, Any]:
    """An incident with what the page shows of it: pictures inside, times of the site."""
    picture = out / incident["snapshot"]
    data = base64.b64encode(picture.read_bytes()).decode() if picture.exists() else None
    exposed, word = incident["labels_exposed"], incident["severity"]
    return {
        **incident,
        "picture": f"data:image/jpeg;base64,{data}" if data else None,
        "shape": SHAPES[word],
        "kind_words": _both(lambda language: KIND_NAMES[language][incident["kind"]]),
        "severity_words": _both(lambda language: SEVERITY_NAMES[language][word]),
        "sentence_words": _both(lambda language: sentence(incident, language)),
        "exposed": count_range(exposed["low"], exposed["high"]) if exposed["high"] else "",
        "photos": sum(act["kind"] == "photo" for act in incident["acts"]),
        "from_until": f"{local(incident['started_at'])} – {local(incident['ended_at'])[11:]}",
    }


def _both(words: Callable[[str], str]) -> Markup:
    """Words in both languages, of which the page shows one."""
    return Markup("<span class='zh' lang='zh'>{}</span><span class='en' lang='en'>{}</span>").format(
        words("zh"), words("en")
    )


def _say(name: str, **values: object) -> Markup:
    def words(language: str) -> str:
        one, _, many = (ZH if language == "zh" else EN)[name].partition("|")
        return (one if values.get("n") == 1 or not many else many).format(**values)

    return _both(words)


def _percent(low: float, high: float) -> str:
    low, high = round(100 * low), round(100 * high)
    return f"{low} %" if low == high else f"{low}–{high} %"


def _span(seconds: float) -> str:
    """A length of time as hours, minutes and seconds, which both languages read alike."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _range(found: Sum) -> str:
    return f"{found.best} ({count_range(found.low, found.high)})"


def _day(day: date) -> Markup:
    week = "一二三四五六日"[day.weekday()]
    return _both(lambda language: f"{day} 周{week}" if language == "zh" else f"{day:%Y-%m-%d %a}")


def _page() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.globals.update(say=_say, span=_span, percent=_percent, range_of=_range, day_words=_day)
    return environment.get_template("page.html")
