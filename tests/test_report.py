"""The report of a replay: which day, where, who, how many labels, and what was not seen."""

from __future__ import annotations

import csv
import html
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.census import Census, Turn, ZoneCensus
from detector.clock import iso, unix
from detector.config import Calendar, Camera, EdgeConfig, Mounting, Shift, Zone
from detector.recorded.judging import DRAWN_S, ParcelCount
from detector.recorded.recordings import FILE_DATE, VAGUE
from detector.report import write_report
from detector.report.calendar import Day, weeks
from detector.report.drawing import WIDTH, Days, parcel_days, watched_days
from detector.report.reach import Reach, reaches
from detector.report.remarks import remarks
from detector.report.tally import Keys, Sum, sums
from detector.report.texts import EN, ZH
from detector.shifts import Shifts
from tests.hub.conftest import make_jpeg
from tests.hub.test_browser import PHONE, browser  # noqa: F401  (a fixture)
from tests.hub.test_large_letters import LOST

NOON = unix("2026-11-01T12:00:00+08:00")
NIGHT = Calendar(shifts=[Shift(name="night", begins="22:00", ends="06:00")])


def incident(at: float, labels: tuple[int, int, int] = (3, 4, 6), **more: Any) -> dict[str, Any]:
    low, best, high = labels
    return {
        "id": f"{at:.0f}", "camera": "gate", "zone": "bulk", "kind": "label_photography", "severity": "warning",
        "started_at": iso(at), "ended_at": iso(at + 20), "labels_exposed": {"low": low, "best": best, "high": high},
        "acts": [], "tracks": [7], "file": "gate.mp4", "start_offset_s": 1.0, "end_offset_s": 21.0, "facts": {},
        "clip": None, "snapshot": "snapshots/none.jpg", "score": 0.9, **more,
    }  # fmt: skip


GATE = {"camera": "gate", "title": "东门", "size": [1280, 720], "turned": 0, "hours": 1 / 6, "configured": True}


def summary(**more: Any) -> dict[str, Any]:
    recording = {"camera": "gate", "file": "gate.mp4", "start": iso(NOON), "seconds": 600.0, "damaged_pictures": 0}
    recording["start_known_by"] = "name"
    return {
        "files": 1, "hours_covered": 1 / 6, "unreadable": [], "gaps": [], "overlaps": [], "passed_over": [],
        "recordings": [recording], "wall_s": 60.0, "times_real_time": 10.0, "hours_per_minute": 0.17,
        "quarantined": [], "hours_key_frames_only": 0.0, "frames_inferred": 3000, "frames_passed_over": 0,
        "cameras": [GATE], **more,
    }  # fmt: skip


CONFIG = EdgeConfig(site="s", edge="e", cameras=[Camera(name="gate", source="x.mp4")])


def page(
    out: Path,
    told: dict[str, Any],
    incidents: list[dict[str, Any]],
    census: Any = None,
    *,
    config: EdgeConfig | None = None,
) -> str:
    return write_report(out, told, incidents, config or CONFIG, census or {}).read_text(encoding="utf-8")


def read_in(language: str, written: str) -> str:
    """What a page says to whoever reads it in one language."""
    other = {"zh": "en", "en": "zh"}[language]
    text = re.sub(f"<span class=.{other}. lang=.{other}.>.*?</span>", "", written)
    return " ".join(html.unescape(re.sub("<[^>]+>", "", text)).split())


@pytest.mark.parametrize(
    ("begins", "lasts_s", "words"),
    [
        ("2026-12-31T23:59:50+08:00", 5, "2026-12-31 23:59:50 – 23:59:55"),
        ("2026-12-31T23:59:50+08:00", 20, "2026-12-31 23:59:50 – 2027-01-01 00:00:10"),
        ("2026-11-01T12:00:00+08:00", 86400, "2026-11-01 12:00:00 – 2026-11-02 12:00:00"),
        ("2026-11-01T12:00:00+08:00", 0, "2026-11-01 12:00:00"),
    ],
)
def test_the_day_on_which_an_incident_ended_is_told_where_it_is_another(
    begins: str, lasts_s: float, words: str, tmp_path: Path
) -> None:
    ended_at = iso(unix(begins) + lasts_s)
    assert f"<td>{words}</td>" in page(tmp_path, summary(), [incident(unix(begins), ended_at=ended_at)])


def test_where_in_its_file_an_incident_is_is_told_in_the_reader_s_language(tmp_path: Path) -> None:
    told = [
        incident(NOON, start_offset_s=2.17, end_offset_s=16.2),
        incident(NOON + 60, start_offset_s=4.0, end_offset_s=4.0),
    ]
    written = page(tmp_path, summary(), told)
    file = told[0]["file"]
    assert f"{file}，第 2.2–16.2 秒" in read_in("zh", written) and f"{file}，第 4.0 秒" in read_in("zh", written)
    assert f"{file}, 2.2–16.2 s" in read_in("en", written) and f"{file}, 4.0 s" in read_in("en", written)


@pytest.mark.parametrize(
    ("left_out", "zh", "en"),
    [
        (0, "只看：2026-11-01。<", "Asked for: 2026-11-01.<"),
        (1, "另有 1 个文件没有看。", "One other file was not looked at."),
        (3, "另有 3 个文件没有看。", "3 other files were not looked at."),
    ],
)
def test_the_report_says_what_was_asked_for_and_what_that_leaves_out(
    left_out: int, zh: str, en: str, tmp_path: Path
) -> None:
    day = "2026-11-01"
    asked = {"cameras": [], "from": day, "to": day, "hours": None, "files_left_out": left_out}
    told = page(tmp_path, {**summary(), "asked": asked}, [])
    assert zh in told and en in told


def test_labels_are_summed_by_day_zone_and_person_of_a_shift() -> None:
    found = [
        incident(NOON),
        incident(unix("2026-11-01T23:30:00+08:00"), (1, 1, 1)),
        incident(unix("2026-11-02T01:00:00+08:00"), (10, 20, 30)),
        incident(unix("2026-11-02T02:00:00+08:00"), kind="lingering"),
    ]
    keys = Keys(Shifts(NIGHT, "Asia/Shanghai"), has_shifts=True)
    assert sums(found, keys.day) == {date(2026, 11, 2): Sum(1, 10, 20, 30), date(2026, 11, 1): Sum(2, 4, 5, 7)}
    assert sums(found, keys.zone) == {("gate", "bulk"): Sum(3, 14, 25, 37)}
    by_person = {(who.day, who.shift, who.tracks): found for who, found in sums(found, keys.person_shift).items()}
    assert by_person == {
        (date(2026, 11, 1), "night", (7,)): Sum(2, 11, 21, 31),  # past midnight it is the same shift
        (date(2026, 11, 1), None, (7,)): Sum(1, 3, 4, 6),
    }


@given(
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/St_Johns"]),
    st.floats(1.7e9, 1.8e9),
    st.floats(1.0, 40 * 86400.0),
)
def test_a_stretch_of_time_is_cut_into_days_without_loss(zone: str, begin: float, length_s: float) -> None:
    parts = list(Days(zone).parts(begin, begin + length_s))
    assert sum(seconds for *_, seconds in parts) == pytest.approx(length_s, abs=0.01)
    days = [day for day, *_ in parts]
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    assert all(x >= 0 and x + width <= WIDTH + 0.01 for _, x, width, _ in parts)


def test_what_was_watched_is_drawn_by_camera_and_day() -> None:
    late = {"camera": "gate", "start": "2026-11-01T15:00:00Z", "seconds": 7200.0}  # 23:00 to 01:00
    rows = watched_days([late, {**late, "seconds": 0.0}], [incident(NOON)], Days("Asia/Shanghai"))
    assert [(row.day.day, round(row.hours, 3), len(row.incidents)) for row in rows] == [(1, 1.0, 1), (2, 1.0, 0)]
    assert rows[0].watched == [pytest.approx((958.33, 41.67))] and rows[1].watched == [pytest.approx((0.0, 41.67))]
    assert rows[0].incidents == [(500.0, "warning", f"{NOON:.0f}")]


def counted(at: float, up: int, turned: int = 0) -> Census:
    """How 100 parcels of the zone bulk lie."""
    turns = tuple(Turn(at=at, place=(0.5, 0.5), up=True) for _ in range(turned))
    fields = {"zone": "bulk", "up": up, "not_up": 100 - up, "unknown": 0, "usual_rate": 0.3, "evidence": 0.0}
    return Census(camera="gate", at=at, zones=(ZoneCensus(**fields, band=(0.2, 0.6), turns=turns),))


def test_the_line_of_a_zone_breaks_off_where_nobody_counted() -> None:
    lain = ParcelCount()
    for s in (0.0, 60.0, 400.0, 8000.0):
        lain.add(counted(NOON + s, 50, turned=int(s == 60)))
    (row,) = parcel_days({"gate": lain.zones}, Days("Asia/Shanghai"))
    assert row.line.count("M") == 2 and row.band.count("z") == 2
    assert row.turns == [500.7]


def test_of_very_many_counts_a_day_keeps_what_can_be_seen_and_how_far_it_went() -> None:
    lain, midnight = ParcelCount(), NOON - 43_200
    for n in range(8640):
        if not 3000 < n < 3100:
            lain.add(counted(midnight + 10 * n, {4000: 1, 5000: 90}.get(n, 30 + n % 2), turned=int(n == 6000)))
    assert len(lain.zones["bulk"]) < 2 * 86_400 / DRAWN_S
    (row,) = parcel_days({"gate": lain.zones}, Days("Asia/Shanghai"))
    assert (row.low, row.high, row.line.count("M")) == (0.01, 0.9, 2)
    assert row.turns == [pytest.approx(1000 * 6000 / 8640, abs=0.1)]


@pytest.mark.parametrize(("files", "said"), [(1, ">one file<"), (3, ">3 files<")])
def test_the_page_begins_with_how_much_was_seen(files: int, said: str, tmp_path: Path) -> None:
    written = page(tmp_path, summary(files=files), [])
    head = written[: written.index("<h1>")]
    assert said in head and f">{files} 个录像文件<" in head and ">one camera<" in head


def test_the_page_answers_which_day_who_and_how_many_first(tmp_path: Path) -> None:
    written = page(tmp_path, summary(), [incident(NOON), incident(NOON + 90_000, (5, 6, 9), severity="critical")])
    head = written[written.index("<h1>") : written.index("</h1>")]
    assert "拍得最多的是 11 月 2 日（周一），东门的 7 号人员拍了约 6 (5–9) 张面单；2 天共 2 起，约 10 (8–15) 张" in head
    assert (
        "Most on Mon 2 Nov: person 7 at 东门 photographed about 6 (5–9) labels; "
        "2 sweeps on 2 days, about 10 (8–15) labels in all" in head
    )
    assert "全部录像都看完了" in written


@pytest.mark.parametrize(
    ("seconds", "zh", "en"), [(20.0, "1 分钟", "1 min"), (9000.0, "2.5 小时", "2.5 h"), (43_000.0, "12 小时", "12 h")]
)
def test_how_long_a_day_was_watched_is_said_in_the_language_of_the_page(
    tmp_path: Path, seconds: float, zh: str, en: str
) -> None:
    (file,) = summary()["recordings"]
    written = page(tmp_path, summary(recordings=[file | {"seconds": seconds}]), [incident(NOON)])
    shown = written[written.index('class="calendar"') : written.index("大的数字")]
    assert f"<span class='zh' lang='zh'>{zh}</span><span class='en' lang='en'>{en}</span>" in shown


def test_a_month_is_a_calendar_that_shows_what_was_found_watched_and_not_read(tmp_path: Path) -> None:
    (file,) = summary()["recordings"]
    day_s = 86_400
    lost = file | {"start": iso(NOON + 2 * day_s), "seconds": 0.0, "unreadable": "lost.mp4: not a video file"}
    late = file | {"start": iso(NOON + 28 * day_s)}
    written = page(tmp_path, summary(recordings=[file, lost, late]), [incident(NOON)])
    shown = written[written.index('class="calendar"') : written.index("大的数字")]
    days = r'class="day[^>]*>\s*<small>(?:\d+/<wbr>)?(\d+)</small>(.*?)(?=<(?:a|span) class="|$)'
    cells = dict(re.findall(days, shown, re.DOTALL))
    words = {day: re.sub(r"<[^>]*>|\s+", " ", told).split() for day, told in cells.items()}
    assert words["1"] == ["4", "10", "分钟", "10", "min"]  # labels, and how long was watched, in both languages
    assert words["3"] == ["✕", "1"]  # there was a file: no day without footage
    assert words["2"] == []
    assert words["29"] == ["0", "10", "分钟", "10", "min"]
    assert re.findall(r"<small>(\d+/\d+)</small>", shown.replace("<wbr>", "")) == [
        "10/26",
        "11/1",
        "11/23",
    ]  # where another month may be
    assert 'href="#d-2026-11-01"' in shown and 'id="d-2026-11-01"' in written
    assert len(re.findall("unwatched", shown)) == 18 and "3 weeks without footage" not in shown
    assert "2 weeks without footage" in shown


def test_on_a_phone_long_names_make_no_page_wider_than_it(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    told = summary(cameras=[GATE | {"title": "D1_S20261106070000_E20261106070030" * 2, "size": None}])
    page(tmp_path, told, [incident(NOON)], {"gate": {"bulk": [[NOON, 0.5, 0.1, 0.4, 0, 0.5, 0.5]]}})
    shown = browser.new_page(viewport=PHONE)
    shown.goto((tmp_path / "report.html").as_uri())
    assert shown.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    shown.close()


def test_a_phone_shows_every_column_of_what_each_person_photographed(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    told = summary(cameras=[GATE | {"title": "东区 3 号机"}])
    page(tmp_path, told, [incident(NOON, (103, 121, 180))])
    shown = browser.new_page(viewport=PHONE)
    shown.goto((tmp_path / "report.html").as_uri())
    for language in ("zh", "en"):
        shown.evaluate(f"document.getElementById('{language}').checked = true")
        wider = "[...document.querySelectorAll('.scroll')].map((e) => e.scrollWidth - e.clientWidth)"
        assert max(shown.evaluate(wider)) == 0, language
    shown.close()


@pytest.mark.parametrize("width", [360, 1120])
def test_who_set_larger_letters_has_them_in_the_report_and_loses_nothing(
    browser: Any,  # noqa: F811
    tmp_path: Path,
    width: int,
) -> None:
    (file,) = summary()["recordings"]
    files = [file | {"start": iso(NOON + 86_400 * n), "seconds": 20_000.0} for n in range(9)]
    page(tmp_path, summary(recordings=files), [incident(NOON, (50, 61, 80)), incident(NOON + 90_000)])
    shown = browser.new_page(viewport={"width": width, "height": 800})
    shown.goto((tmp_path / "report.html").as_uri())
    # Set as a browser does, and all of it laid out at once.
    shown.add_style_tag(content=":root { font-size: 24px } article { content-visibility: visible !important }")
    assert shown.evaluate("getComputedStyle(document.body).fontSize") == "24px"
    for language in ("zh", "en"):
        shown.evaluate(f"document.getElementById('{language}').checked = true")
        assert shown.evaluate(LOST) == []
    # A number that is broken off would be read as two.
    assert shown.evaluate("document.querySelector('.calendar b').getClientRects()[0].height") < 45
    shown.close()


def test_on_paper_the_report_is_dark_on_white_and_has_its_pictures(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "a.jpg").write_bytes(make_jpeg())
    page(tmp_path, summary(), [incident(NOON, snapshot="snapshots/a.jpg", clip="clips/a.mp4")])
    shown = browser.new_page(color_scheme="dark")
    shown.goto((tmp_path / "report.html").as_uri())
    shown.emulate_media(media="print")
    colours = shown.evaluate(
        "(({ color, backgroundColor }) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    assert colours == ["rgb(20, 24, 29)", "rgb(255, 255, 255)"]
    video = shown.locator("article video")
    on_paper = video.screenshot()
    video.evaluate("e => { e.controls = false; }")  # which a printer lays over the picture as a white box
    assert on_paper == video.screenshot()
    shown.close()


def test_a_file_with_a_wrong_date_makes_no_calendar_of_years() -> None:
    told = weeks([Day(date(2026, 11, day)) for day in (1, 2, 30)] + [Day(date(1970, 1, 1))])
    assert [(len(week.days), week.days[0].day.isoformat(), week.skipped) for week in told] == [
        (7, "1969-12-29", 0),
        (7, "2026-10-26", 2964),
        (7, "2026-11-02", 0),
        (7, "2026-11-30", 3),
    ]


def test_of_the_worst_day_it_is_said_who_photographed_most_then(tmp_path: Path) -> None:
    found = [incident(NOON, (9, 9, 9)), *(incident(NOON + 90_000 + n, (5, 6, 9), tracks=[n]) for n in range(2))]
    written = page(tmp_path, summary(), found)
    assert "拍得最多的是 11 月 2 日（周一），约 12 (10–18) 张面单被拍，其中东门的 0 号人员约 6 (5–9) 张" in written


def test_of_days_that_are_alike_none_is_said_to_be_the_worst(tmp_path: Path) -> None:
    found = [incident(NOON), incident(NOON + 90_000), incident(NOON + 180_000, (1, 2, 3))]
    written = page(tmp_path, summary(), found)
    assert "11 月 1 日（周日）是拍得最多的 2 天之一，东门的 7 号人员拍了约 4 (3–6) 张面单；3 天共 3 起" in written
    assert "On Sun 1 Nov, one of the 2 worst days: person 7 at 东门 photographed about 4 (3–6) labels;" in written
    assert "Most on" not in written


def test_where_only_key_frames_were_looked_at_is_paler_and_said(tmp_path: Path) -> None:
    file = {**summary()["recordings"][0], "seconds": 7200.0, "key_frames_only": [[0.0, 3600.0]]}
    (row,) = watched_days([file], [], Days("Asia/Shanghai"))
    assert row.glanced == [pytest.approx((500.0, 41.67), abs=0.02)]
    written = page(tmp_path, summary(recordings=[file], hours_key_frames_only=1.0), [])
    assert "1:00:00 只看了关键帧" in written and "有一部分没有看到" in written


def test_files_that_follow_each_other_are_drawn_as_one_stretch() -> None:
    hour = {"camera": "gate", "seconds": 3600.0}
    files = [{**hour, "start": iso(NOON + 3600 * n)} for n in (0, 1, 3)]
    (row,) = watched_days(files, [], Days("Asia/Shanghai"))
    assert row.watched == [pytest.approx((500.0, 83.33), abs=0.02), pytest.approx((625.0, 41.67), abs=0.02)]


def test_a_hole_in_a_file_is_drawn_as_not_watched() -> None:
    file = {"camera": "gate", "start": "2026-11-01T00:00:00Z", "seconds": 7200.0, "holes": [[1800.0, 5400.0]]}
    (row,) = watched_days([file], [], Days("UTC"))
    assert row.hours == 1.0
    assert [x for x, _ in row.watched] == pytest.approx([0.0, WIDTH * 1.5 / 24], abs=0.01)


def test_what_files_that_overlap_show_twice_was_watched_once() -> None:
    hour = {"camera": "gate", "seconds": 3600.0}
    files = [{**hour, "start": iso(NOON + at)} for at in (0, 1800, 1800)]
    (row,) = watched_days(files, [], Days("Asia/Shanghai"))
    assert row.hours == pytest.approx(1.5) and row.watched == [pytest.approx((500.0, 62.5), abs=0.02)]


def test_one_sweep_is_told_in_one_breath(tmp_path: Path) -> None:
    config = EdgeConfig(site="s", edge="e", cameras=[Camera(name="gate", source="x.mp4")], calendar=NIGHT)
    night = unix("2026-11-02T01:00:00+08:00")
    written = write_report(tmp_path, summary(), [incident(night, tracks=[3, 7])], config, {}).read_text("utf-8")
    assert "11 月 2 日（周一），东门的 3、7 号人员（night 班）拍了约 4 (3–6) 张面单" in written
    assert "Mon 2 Nov: people 3, 7 (night shift) at 东门 photographed about 4 (3–6) labels" in written
    assert "2026-11-01 Sun" in written and "counts to the day it begins" in written and "算在它开始的那一天" in written
    with (tmp_path / "people.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["day"], row["shift"], row["people"], row["labels_best"]) == ("2026-11-01", "night", "3 7", "4")


def test_a_long_page_carries_the_gravest_pictures_and_fetches_the_rest(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    found = [incident(NOON + n, (n, n, n), snapshot=f"snapshots/{n}.jpg", clip=f"clips/{n}.mp4") for n in range(400)]
    for n in range(400):
        (tmp_path / "snapshots" / f"{n}.jpg").write_bytes(b"\xff\xd8" + bytes(27_000))
    written = page(tmp_path, summary(), found)
    assert len(written) < 8_000_000
    assert re.search(r'src="clips/399.mp4" poster="data:image/jpeg', written)
    assert re.search(r'<a href="clips/0.mp4"[^>]*><img alt="" loading="lazy" src="snapshots/0.jpg">', written)
    # Whoever goes by Tab comes to links that say where they lead; these two have another that does.
    links = re.findall(r"<a ([^>]*)>(.*?)</a>", written, re.DOTALL)
    nameless = [kind for kind, inside in links if not re.sub("<[^>]+>", "", inside).strip()]
    assert [kind for kind in nameless if "tabindex" not in kind] == []
    assert sum("tabindex" in kind for kind, _ in links) > 400


def test_where_phones_cant_be_judged_is_said_of_each_camera(tmp_path: Path) -> None:
    hangs = Mounting(height_m=3, tilt_deg=30, fov_deg=60)
    camera = Camera(name="gate", source="x.mp4", mounting=hangs)
    other = GATE | {"camera": "dock", "title": "dock"}
    told = summary(cameras=[*summary()["cameras"], other])
    config = EdgeConfig(site="s", edge="e", cameras=[camera])
    written = write_report(tmp_path, told, [], config, {}).read_text(encoding="utf-8")
    assert "无法判断是否在拍摄" in written and "dock：配置里没有填" in read_in("zh", written)


def test_a_camera_whose_pictures_are_turned_is_judged_by_its_lens() -> None:
    def told(turned: int, size: list[int]) -> list[Reach]:
        hangs = Mounting(height_m=3, tilt_deg=30, fov_deg=90)
        camera = Camera(name="gate", source="x.mp4", mounting=hangs)
        return reaches([GATE | {"size": size, "turned": turned}], EdgeConfig(site="s", edge="e", cameras=[camera]))

    assert told(0, [1280, 720]) == told(90, [720, 1280]) != told(0, [720, 1280])


@pytest.mark.parametrize(
    ("people", "said", "missed"),
    [
        (
            {"in_view_s": 600.0, "too_far_s": 498.0},
            ["0:10:00，其中 83% 离得太远", "83 % of it", "take a longer lens"],
            True,
        ),
        ({"in_view_s": 600.0, "too_far_s": 120.0}, ["其中 20% 离得太远", "20 % of it"], False),
        ({"in_view_s": 600.0, "too_far_s": 0.0}, ["都离得够近", "near enough all the time"], False),
        ({"in_view_s": 2.0, "too_far_s": 2.0}, [], False),
        (None, [], False),
    ],
    ids=["mostly too far", "some too far", "near", "hardly anybody", "by a model of unknown sight"],
)
def test_how_much_of_the_time_people_were_too_far_off_is_said(
    people: dict[str, float] | None, said: list[str], missed: bool, tmp_path: Path
) -> None:
    written = page(tmp_path, summary(cameras=[{**summary()["cameras"][0], "people": people}]), [])
    assert all(words in written for words in said)
    assert ("take a longer lens" in written) == ("有一部分没有看到" in written) == missed
    assert (
        ("People were in view" in written) == ("each counted" in written) == ("每人分别计时" in written) == bool(said)
    )


@pytest.mark.parametrize(
    ("size", "turned", "aspect", "told"),
    [
        ([704, 576], 0, None, True), ([704, 576], 0, "4:3", False), ([1280, 720], 0, None, False),
        (None, 0, None, False), ([576, 704], 90, None, True), ([576, 704], 90, "4:3", False),
    ],
)  # fmt: skip
def test_pictures_that_may_be_squeezed_are_told_of(
    size: list[int] | None, turned: int, aspect: str | None, told: bool, tmp_path: Path
) -> None:
    camera = {**summary()["cameras"][0], "size": size, "turned": turned}
    known = Camera(name=camera["camera"], source="a.mp4", aspect=aspect)
    config = CONFIG.model_copy(update={"cameras": [known]})
    found = summary(cameras=[camera], duplicates=[])
    said = list(remarks(found, config, tmp_path / "site.yaml", tmp_path, most=9))
    assert any(("704x576" in one or "576x704" in one) and "aspect: 16:9" in one for one in said) == told
    written = page(tmp_path, found, [], config=config)
    assert ("Perhaps squeezed" in written) == ("可能被压扁" in written) == told


def test_what_was_not_seen_is_said_at_the_top_and_listed_at_the_end(tmp_path: Path) -> None:
    gap = {"camera": "gate", "from": iso(NOON), "until": iso(NOON + 300), "seconds": 300.0, "before": "b.mp4"}
    told = summary(
        unreadable=[{"file": "a.mp4", "why": "a.mp4: the file is empty (zero bytes)"}],
        gaps=[gap],
        overlaps=[gap],
        passed_over=[{"file": f"{n}.mp3", "why": ".mp3 is not that of a video file"} for n in range(60)],
    )
    written = page(tmp_path, told, [incident(NOON, kind="tamper", labels_exposed={"low": 0, "best": 0, "high": 0})])
    assert "没有发现有人拍摄面单" in written and "有一部分没有看到" in written
    assert "a.mp4: the file is empty" in written and "a.mp4：空文件" in written
    assert "recorder's clock was put back" in html.unescape(written) and "往回拨" in written
    assert ".mp3 is not that" in written and "后缀 .mp3 不是视频" in written
    assert "0:05:00" in written and "还有 10 个" in written
    assert "12:00:00" in written  # of the site, not of Greenwich


def test_of_very_many_gaps_the_longest_are_listed_in_order_of_time(tmp_path: Path) -> None:
    def gap(n: int, minutes: float) -> dict[str, Any]:
        begins, until = iso(NOON + 3600 * n), iso(NOON + 3600 * n + 60 * minutes)
        return {"camera": "gate", "from": begins, "until": until, "seconds": 60 * minutes, "before": f"{n}.mp4"}

    written = page(tmp_path, summary(gaps=[gap(0, 59), *(gap(n, 1) for n in range(1, 99)), gap(99, 50)]), [])
    listed = written[written.index("No recording then") :]
    assert listed.index("(0:59:00)") < listed.index("(0:01:00)") < listed.index("(0:50:00)")
    assert "50 shorter ones, see summary.json" in listed and "还有 50 个更短的" in listed


def test_of_a_camera_with_a_blind_edge_it_is_said_that_gaps_hide_who_comes_out(tmp_path: Path) -> None:
    def gap(camera: str, seconds: float) -> dict[str, Any]:
        return {
            "camera": camera,
            "from": iso(NOON),
            "until": iso(NOON + seconds),
            "seconds": seconds,
            "before": "x.mp4",
        }

    corner = Zone(name="corner", kind="blind_edge", polygon=[(0, 0), (1, 0), (1, 1)])
    hall, gate = Camera(name="hall", title="大厅", source="h.mp4", zones=[corner]), Camera(name="gate", source="g.mp4")
    config = CONFIG.model_copy(update={"cameras": [hall, gate]})
    told = summary(gaps=[gap("hall", 61), gap("hall", 3600), gap("hall", 59), gap("gate", 3600)], duplicates=[])
    said = list(remarks(told, config, tmp_path / "site.yaml", tmp_path, most=9))
    who = "whoever was behind a blind edge when one began is not missed after it"
    assert said == [f"大厅: 2 gaps of more than a minute: {who}"]
    assert list(remarks(told, CONFIG, tmp_path / "site.yaml", tmp_path, most=9)) == []


def test_where_nobody_knows_when_a_file_was_recorded_the_answer_says_so(tmp_path: Path) -> None:
    (sure,) = summary()["recordings"]
    unsure = [sure | {"file": f"{how[:4]}.mp4", "start_known_by": how} for how in (FILE_DATE, VAGUE)]
    written = html.unescape(page(tmp_path, summary(recordings=[sure, *unsure]), [incident(NOON)]))
    answer, _, end = written.partition("<h2>")
    assert "Nobody knows when 2 files were recorded" in answer and "2 个文件不知道是什么时候录的" in answer
    assert "the file's date" in end and "按文件日期推算" in end
    assert "file.mp4: 2026-11-01 12:00:00" in read_in("en", end)
    assert "Nobody knows when" not in page(tmp_path, summary(), [incident(NOON)])


def test_cameras_that_the_configuration_does_not_know_are_named_with_what_that_means(tmp_path: Path) -> None:
    (known,) = summary()["cameras"]
    assert "Not in the configuration" not in page(tmp_path, summary(), [])
    written = page(tmp_path, summary(cameras=[known, known | {"title": "NVR_ch1<main>", "configured": False}]), [])
    assert (
        "Not in the configuration: NVR_ch1&lt;main&gt;." in written
        and "配置里没有这些摄像机：NVR_ch1&lt;main&gt;" in written
    )


def test_cameras_of_which_there_is_no_recording_are_named(tmp_path: Path) -> None:
    cameras = [Camera(name=name, title=title, source="x.mp4") for name, title in (("gate", "东门"), ("dock", "卸货口"))]
    config = EdgeConfig(site="s", edge="e", cameras=cameras)
    written = write_report(tmp_path, summary(), [], config, {}).read_text("utf-8")
    assert "without recordings here: 卸货口." in written and "没有录像的摄像机：卸货口。" in written
    assert "without recordings here" not in page(tmp_path, summary(), [])


def test_a_days_line_tells_severity_by_shape_and_says_which_is_which(tmp_path: Path) -> None:
    found = [incident(NOON + 600 * n, severity=severity) for n, severity in enumerate(("critical", "warning", "info"))]
    written = page(tmp_path, summary(), found)
    strip = re.search(r'<span class="strip">.*?</span>', written)
    assert strip and re.findall(r'<a class="(\w+)"[^>]*left:[\d.]+%">(.)</a>', strip[0]) == [
        ("critical", "■"), ("warning", "▲"), ("info", "●"),
    ]  # fmt: skip
    legend = re.sub(r"<[^>]+>", " ", written.split("空白处没有录像")[1].split("</p>")[0])
    assert re.findall(r"([■▲●]) +(\S+)", legend) == [("■", "严重"), ("▲", "注意"), ("●", "提示")]


def test_names_of_files_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>'\"&.mp4"
    written = page(tmp_path, summary(unreadable=[{"file": evil, "why": evil}]), [incident(NOON, file=evil, zone=evil)])
    assert "<script" not in written
    assert not re.search(r"(src|href)=[\"']?https?:", written), "the page stands alone"


def test_tables_open_in_a_spreadsheet_and_run_nothing(tmp_path: Path) -> None:
    page(
        tmp_path,
        summary(),
        [incident(NOON, file="=cmd|' /C calc'!A0.mp4", camera="东门"), incident(NOON + 60, zone=None)],
    )
    with (tmp_path / "incidents.csv").open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["file"] == "'=cmd|' /C calc'!A0.mp4" and first["camera"] == "东门" and second["zone"] == ""
    assert first["started"] == "2026-11-01 12:00:00" and first["labels_best"] == "4"
    with (tmp_path / "exposed.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["day"], row["camera"], row["labels_high"]) for row in csv.DictReader(file)] == [
            ("2026-11-01", "gate", "6"), ("2026-11-01", "东门", "6"),
        ]  # fmt: skip


def test_tables_with_chinese_heads_stand_beside_those_that_programs_read(tmp_path: Path) -> None:
    cameras = [{**one, "title": "东门 1 号"} for one in summary()["cameras"]]
    told = summary(cameras=cameras)
    page(tmp_path, told, [incident(NOON, kind="lingering", severity="warning", acts=[]), incident(NOON + 60)])

    def read(name: str) -> list[dict[str, str]]:
        assert (tmp_path / name).read_bytes().startswith(b"\xef\xbb\xbf"), "or Excel takes it for GBK"
        with (tmp_path / name).open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    first, _ = read("incidents.zh.csv")
    assert [first[head] for head in ("类型", "级别", "摄像机", "开始", "暴露面单（最多）")] == [
        "停留", "注意", "东门 1 号", "2026-11-01 12:00:00", "6",
    ]  # fmt: skip
    assert first["说明"] == read("incidents.csv")[0]["zh"]
    (day,), (who,) = read("exposed.zh.csv"), read("people.zh.csv")
    assert (day["日期"], day["连续拍摄（次）"]) == (who["日期"], who["连续拍摄（次）"]) == ("2026-11-01", "1")
    assert read("incidents.csv")[0]["kind"] == "lingering"


def test_who_may_have_photographed_is_told_and_counted_nowhere(tmp_path: Path) -> None:
    doubtful = incident(NOON, (1, 2, 24), tracks=[9], severity="info", facts={"photos": 2, "unsure": True})
    scans = incident(NOON + 60, (0, 0, 0), facts={"photos": 0, "scans": 7})
    before = incident(NOON - 60, (0, 0, 0), kind="lingering", severity="info")
    alone = page(tmp_path, summary(), [before, doubtful, scans])
    head = alone[alone.index("<h1>") : alone.index("</section>", alone.index("<h1>"))]
    assert "没有确定的拍摄面单行为，有 1 起不太确定" in head and "somebody may have once" in head and "人员" not in head
    assert "其他事件（3 起）" in alone and "1–24" in alone
    told = [doubtful, before, scans]
    assert re.findall(r'<article id="i-(\d+)">', alone) == [one["id"] for one in told]
    beside = page(tmp_path, summary(), [doubtful, scans, incident(NOON + 120)])
    head = beside[beside.index("<h1>") : beside.index("</section>", beside.index("<h1>"))]
    assert "东门的 7 号人员拍了约 4 (3–6) 张面单" in head
    assert "另有 1 起不太确定是不是在拍，没有计入" in head and "Once more somebody may have" in head
    for name in ("exposed", "people"):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            assert [(row["sweeps"], row["labels_best"]) for row in csv.DictReader(file)] == [("1", "4")]
    with (tmp_path / "incidents.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_as_many_photos_are_told_of_as_in_the_sentence(tmp_path: Path) -> None:
    acts = [{"kind": "photo", "track": 7}] * 5  # two of which were fine there
    told = page(tmp_path, summary(), [incident(NOON, acts=acts, facts={"photos": 3})])
    assert re.findall(r"拍照 (\d) 次|(\d) 次拍照", told) == [("3", ""), ("", "3")]
    assert re.search("<td>[^/]*7 号人员.*person 7.* · .*3 次拍照", told), "as the tables have them"
    with (tmp_path / "incidents.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["photos"] for row in csv.DictReader(file)] == ["3"]


def test_exposed_labels_are_listed_in_order_of_time(tmp_path: Path) -> None:
    days = (10, 9, 2)
    page(tmp_path, summary(), [incident(NOON + 86400 * (day - 1), zone=zone) for day in days for zone in ("b", None)])
    with (tmp_path / "exposed.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(row["day"], row["zone"]) for row in csv.DictReader(file)] == [
            (f"2026-11-{day:02}", zone) for day in sorted(days) for zone in ("", "b")
        ]


def test_every_text_is_there_in_both_languages_and_used() -> None:
    assert ZH.keys() == EN.keys()
    report = Path(write_report.__code__.co_filename).parent
    template = (report / "page.html").read_text(encoding="utf-8")
    called = set(re.findall(r"(?:say|listed|heads)\(\[?\"(\w+)\"", template)) | set(
        re.findall(r'"(\w+)"[,\]]', template)
    )
    code = "".join((report / name).read_text(encoding="utf-8") for name in ("answer.py", "__init__.py"))
    assert ZH.keys() <= called | set(re.findall(r'"(\w+)"', code))
