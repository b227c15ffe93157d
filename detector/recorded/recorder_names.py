"""What a recorder's file names say: a path enters; when the recording begins, and of which camera it is, leave.

Read are the schemes of the recorders most found in warehouses, a date with a time of day anywhere in a name, and a time
of day that a name begins or ends with below a folder with the date; for the rest a pattern is given (`Pattern`).
Recorders write local time, unless a scheme is known for UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from detector.errors import ConfigError, Problem
from detector.values import DAY_S

MINUTE_S = 60.0
NAME = "name"
TWICE = "name, of an hour that comes twice: the first is taken"
NEVER = "name, of an hour that is left out"


@dataclass(frozen=True, slots=True)
class Named:
    """What a name says; `None` where it doesn't say.

    Attributes:
        start_at: When the recording begins, Unix seconds.
        camera: The recorder's own name or channel of the camera.
        length_s: How long it is, from when to when the name says.
        known_by: `NAME`, or `TWICE` or `NEVER` where a clock that is changed for summer showed its time twice or never.
        series: Where it has none, the path without date and time, which the files of one camera share.
        within_s: It began within so many seconds after `start_at`: a minute where the name has no seconds.
    """

    start_at: float | None
    camera: str | None = None
    series: str | None = None
    length_s: float | None = None
    known_by: str = NAME
    within_s: float = 0.0


# A date and a time of day: 20261101_0926, 2026-11-01T09-26-13, 20261101092613, 2026年11月01日09时26分13秒 …: seconds
# and milliseconds optional, the latter not read. Z says UTC.
_STAMP = re.compile(
    r"(20\d\d)[-_.年]?(\d\d)[-_.月]?(\d\d)[-_.T 日]{0,2}(\d\d)[-_.:时]?(\d\d)"
    r"(?:[-_.:分]?(\d\d)(?:[-_.]?\d{3})?)?[分秒]?(Z(?![A-Za-z]))?(?!\d)"
)
_CLOCK = r"\d\d[-_.:]?\d\d[-_.:]?\d\d"
# What differs from file to file of one camera: the stamp, until when, and the S and E before both. TP-Link counts its
# files (…_tp00012); Reolink writes summer time before the stamp, and flags and the size after it.
_STAMPED = re.compile(
    r"(?<=Rec[MS]\d\d_)(?:DST)?20\d{6}_\d{6}_\d{6}(?:_[0-9A-F]+)+$"
    rf"|(?:(?<=_)[SE])?{_STAMP.pattern}(?:(?:-\d{{4}}|[-_](?!{_STAMP.pattern}){_CLOCK})(?!\d)|_tp\d{{5}}$)?"
)
_DATE = re.compile(r"(?<!\d)20\d\d([-_./]?)\d\d\1\d\d(?:[-_]?\d\d)?(?!\d)|(?<![^/])20\d\d[-_.]\d\d(?=/)")
# A folder's date, and a name that begins with the time of day: 2026-11-01/gate/09-26-13, gate/20261101/092613-093000,
# gate/2026/11/01/09-26-13. Six digits alone may be a counter.
_IN_FOLDER = r"(?<!\d)(?P<Y>20(?P<y>\d\d))[-_./]?(?P<m>\d\d)[-_./]?(?P<d>\d\d)(?!\d)[^/]*/(?:[^/]+/){0,2}"
_BELOW_DATE = re.compile(
    rf"{_IN_FOLDER}(?=\d\d[-_.:]|\d{{6}}[-_]\d{{6}})(?P<H>\d\d)[-_.:]?(?P<M>\d\d)[-_.:]?(?P<S>\d\d)"
    rf"(?:[-_]{_CLOCK})?(?![-_.:]?\d)(?P<rest>[^/]*)$"
)
# A name that ends with it: 2026-11-01/cam-03_09-26-13. It is no time where it says the folder's day again.
_ENDS_BELOW_DATE = re.compile(
    rf"{_IN_FOLDER}(?P<rest>[^/]*[_ ])(?!(?:(?P=d)[-.](?P=m)|(?P=m)[-.](?P=d))[-.](?P=y))"
    r"(?P<H>\d\d)(?P<between>[-.:])(?P<M>\d\d)(?P=between)(?P<S>\d\d)(?:[-_ ]\d\d(?:(?P=between)\d\d){2})?$"
)
_START = r"(?P<start>20\d{12})"
_MORE = r"(?:[_-][^/]*)?"
_DAY = r"(?P<Y>20\d\d)-?(?P<m>\d\d)-?(?P<d>\d\d)"
_SCHEMES = tuple(
    map(
        re.compile,
        (
            # An export, from when to when: NVR_ch1_main_20261101092613_20261101093000, Camera 01_2026…_2026…_68345
            rf"(?P<camera>[^/]+?)[_ ]{_START}[_-](?P<until>20\d{{12}}){_MORE}$",
            # 192.168.1.64_01_20261101092613044
            rf"(?P<camera>\d+\.\d+\.\d+\.\d+_\d+)_{_START}(?:\d{{3}})?{_MORE}$",
            # ch01_20261101092613
            rf"(?P<camera>(?i:ch|channel|cam|camera)[ _-]?\d+)_{_START}(?:\d{{3}})?{_MORE}$",
            # A Dahua disk or its FTP: 2026-11-01/001/dav/09/09.26.13-09.30.00[M][0@0][0]
            rf"{_DAY}/(?P<camera>[^/]+)/(?:[^/]+/){{0,2}}(?P<H>\d\d)\.(?P<M>\d\d)\.(?P<S>\d\d)-(?P<to>\d\d\.\d\d\.\d\d)(?:\[[^/]*)?$",
            # Uniview's client: 2026-11-01/192.168.1.30_1_S09-26-13_E09-30-00
            rf"{_DAY}/(?P<camera>[^/]+)_S(?P<H>\d\d)-(?P<M>\d\d)-(?P<S>\d\d)_E(?P<to>\d\d-\d\d-\d\d)$",
            # An Axis camera's card: …/20261101_092613_5D3B_ACCC8E012345/20261101_09/20261101_092613_6AF2
            rf"(?:axis-|_[0-9A-F]{{4}}_)(?P<camera>[0-9A-F]{{12}})/(?:[^/]+/)*{_DAY}_(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)_[0-9A-F]{{4}}$",
            # Frigate keeps UTC: 2026-11-01/09/gate/26.13
            rf"{_DAY}/(?P<utcH>\d\d)/(?P<camera>[^/]+)/(?P<M>\d\d)\.(?P<S>\d\d)$",
            # Xiaomi: 2026110109/26M13S_1793525173; the clock's own time is without doubt
            r"20\d{8}/\d\dM\d\dS_(?P<unix>1\d{9})$",
            # Synology: Dock-20261101-092613-1793496373
            r"(?P<camera>[^/]+)-20\d{6}-\d{6}-(?P<unix>1\d{9})$",
            # From when to when in Unix seconds: gate_1793525173-1793525400
            r"(?:^|/)(?:(?P<camera>[^/]*[^/\d])[_-])?(?P<unix>1\d{9})[_-](?P<unix_until>1\d{9})$",
        ),
    )
)


class _Moment(NamedTuple):
    """Unix seconds that a name tells, and how surely (`Named.known_by`)."""

    at: float
    known_by: str = NAME


def read_name(path: Path, zone: str, pattern: Pattern | None = None) -> Named:
    """What a path says, read in a time zone; with a pattern, that alone is asked.

    Args:
        path: Of the file; folders above it count, since some recorders keep the date there.
        zone: Name of the time zone that the recorder's clock shows.
        pattern: How the recorder names its files, where that isn't found by itself.
    """
    local = ZoneInfo(zone)
    if pattern is not None:
        return pattern.read(path, local)
    text = path.with_suffix("").as_posix()
    for form in _SCHEMES:
        if (match := form.search(text)) and (named := _named(match, local)):
            return named if named.camera else replace(named, series=text[: match.start()])
    for match in _STAMP.finditer(path.stem):
        *parts, utc = match.groups()
        if (start := _when([int(part or 0) for part in parts], UTC if utc else local)) is not None:
            rest = _series(path.parent.as_posix(), _STAMPED.sub("", path.stem))
            return Named(start.at, series=rest, known_by=start.known_by, within_s=0.0 if match[6] else MINUTE_S)
    for form in (_BELOW_DATE, _ENDS_BELOW_DATE):
        match = form.search(text)
        if match and (start := _when([int(match[part]) for part in "YmdHMS"], local)) is not None:
            rest = _series(path.parent.as_posix(), match["rest"])
            return Named(start.at, series=rest, known_by=start.known_by)
    return Named(None)


def _series(folder: str, rest: str) -> str:
    """A path without its date, or month, and time. An hour's folder stays: it may as well be a channel's number."""
    return _DATE.sub("", f"{folder}/") + rest


def _named(match: re.Match[str], zone: tzinfo) -> Named | None:
    """What a match says; `None` when its digits are no time."""
    found = match.groupdict()
    start: _Moment | None
    until: _Moment | None = None
    if "unix" in found:
        start = _Moment(float(found["unix"]))
        until = _Moment(float(found["unix_until"])) if "unix_until" in found else None
    elif "start" in found:
        start = _when(_digits(found["start"]), zone)
        until = _when(_digits(found["until"]), zone) if "until" in found else None
    else:
        hour = found.get("utcH")
        day = [int(found[name]) for name in "Ymd"]
        start = _when([*day, int(hour or found["H"]), int(found["M"]), int(found["S"])], UTC if hour else zone)
        if "to" in found and start is not None:
            clock = [*map(int, re.split("[-.]", found["to"]))]
            until = _when([*day, *clock], zone)
            if until is not None and until.at < start.at:
                after = date(*day) + timedelta(days=1)
                until = _when([after.year, after.month, after.day, *clock], zone)
    if start is None:
        return None
    length_s = until.at - start.at if until is not None and 0 < until.at - start.at <= DAY_S else None
    return Named(start.at, found.get("camera"), length_s=length_s, known_by=start.known_by)


def _digits(text: str) -> list[int]:
    """Year to second of `20261101092613`."""
    return [int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2))]


def _when(parts: list[int], zone: tzinfo) -> _Moment | None:
    if not MINYEAR < parts[0] < MAXYEAR:  # by another clock it may be a year that can't be told
        return None
    try:
        stamp = datetime(*parts, tzinfo=zone)  # type: ignore[arg-type,misc]
    except ValueError:
        return None  # digits that are no time
    before, after = (stamp.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return _Moment(stamp.timestamp(), NAME if before == after else TWICE if before > after else NEVER)


_PLAIN = {"*": "[^/]*", "?": "[^/]", "%%": "%"}
_FIELDS = {"camera": "[^/]+?", "Y": r"\d{4}", "s": r"\d{9,10}", **dict.fromkeys("mdHMS", r"\d\d")}


class Pattern:
    """How a recorder names its files, as a person writes it down.

    `{camera}` is the camera, `%Y %m %d %H %M %S` date and time as in `strftime`, `%s` Unix seconds, `*` anything and
    `?` one character; none of them goes past a `/`. It is held against the end of the path without its suffix:
    `{camera}/%Y-%m-%d/%H%M%S*`. A field that comes again must say the same.

    Raises:
        ConfigError: It says no time, or has a field that isn't known.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        seen: set[str] = set()

        def form(part: str) -> str:
            if part in _PLAIN:
                return _PLAIN[part]
            if part != "{camera}" and not part.startswith("%"):
                return re.escape(part)
            name = part.strip("{}%")
            if name not in _FIELDS:
                raise _no_pattern(text, f"{part} is no field")
            again = name in seen
            seen.add(name)
            return f"(?P={name})" if again else f"(?P<{name}>{_FIELDS[name]})"

        whole = "".join(map(form, re.findall(r"\{camera\}|%.?|[*?]|[^%*?{]+|\{", text)))
        if "s" not in seen and not {"Y", "m", "d", "H", "M"} <= seen:
            raise _no_pattern(text, "says no time")
        self._form = re.compile(rf"(?:^|/){whole}$")

    def read(self, path: Path, zone: tzinfo) -> Named:
        """What a path says; nothing where the pattern doesn't fit it."""
        match = self._form.search(path.with_suffix("").as_posix())
        if match is None:
            return Named(None)
        found = match.groupdict()
        if "s" in found:
            return Named(float(found["s"]), found.get("camera"))
        start = _when([int(found.get(name) or 0) for name in ("Y", "m", "d", "H", "M", "S")], zone)
        if start is None:
            return Named(None, found.get("camera"))
        within_s = 0.0 if "S" in found else MINUTE_S
        return Named(start.at, found.get("camera"), known_by=start.known_by, within_s=within_s)


def _no_pattern(text: str, why: str) -> ConfigError:
    hint = "for example {camera}/%Y-%m-%d/%H%M%S* or {camera}_%Y%m%d%H%M%S_*"
    return ConfigError([Problem("--pattern", text, why, hint)])
