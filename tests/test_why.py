"""Why nobody was told: the steps of each person, the lines of the page, the film, and the command on real footage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detector import wire
from detector.cli import main
from detector.config import Calendar, Camera, EdgeConfig, Exemption, Policy, Zone
from detector.rules.evidence import KINDS
from detector.rules.noted import Noted
from detector.rules.policy import Policies
from detector.shifts import Shifts
from detector.values import Act, ActKind, Incident, IncidentKind, IncidentUpdate, Phase, Scene, Severity, Sight
from detector.why.account import Account, Moment, Witness, Witnessed
from detector.why.film import WIDTH, Film, drawn
from detector.why.page import headline, strip, write_page
from detector.why.steps import Steps, first_not_taken, until_decided
from detector.why.texts import EN, ZH
from tests.builders import frame, parcel, person, phone, scene, times
from tests.conftest import REPOSITORY
from tests.rules.staging import Photo, photographed, weighing
from tests.sources.footage import make_video

DEMO = REPOSITORY / "configs" / "demo"
SWEEP = DEMO / "sweep_near.mp4"
NOON = 1_760_000_000.0
TALL = 247.0
BULK = Zone(name="bulk", kind="storage", polygon=[(0, 0), (1, 0), (1, 1), (0, 1)])
BENCH = BULK.model_copy(update={"name": "bench", "policy": Policy(phones="allowed")})
COUNT = BULK.model_copy(
    update={"name": "count", "policy": Policy(exemptions=[Exemption(phones="allowed", reason="stock count")])}
)
FEW = BULK.model_copy(
    update={"name": "few", "policy": Policy(exemptions=[Exemption(phones="allowed", people=2, reason="foremen")])}
)
STRICT = BULK.model_copy(update={"name": "strict", "policy": Policy(scanners="forbidden")})
CAMERA = Camera(name="cam1", source="rtsp://10.0.0.2/1", zones=[BULK, BENCH, COUNT, FEW, STRICT])


def config(**changes: Any) -> EdgeConfig:
    return EdgeConfig.model_validate({"site": "s", "edge": "e", "cameras": [CAMERA.model_dump()], **changes})


def like(kind: str, share: float = 0.9) -> tuple[float, ...]:
    rest = (1 - share) / (len(KINDS) - 1)
    return tuple(share if name == kind else rest for name in KINDS)


def moment(at: float = 0.0, **changes: Any) -> Moment:
    usual = Moment(
        NOON + at, TALL + 50, "bulk", passed_over=False, device=phone((0, 0, 16, 9)), chances=like("photo"), belief=0.9
    )
    return replace(usual, **changes)


def witnessed(
    *moments: Moment,
    photos: int = 0,
    zone: str | None = "bulk",
    parcels: bool = True,
    score: float | None = None,
    together: int = 1,
    moved_on: int = 0,
    kind: ActKind = ActKind.PHOTO,
) -> Witnessed:
    seen = Witnessed((0, 3), [*moments] or [moment(t / 5) for t in range(50)], score=score)
    for n in range(photos):
        act = Act(kind, 3, NOON + n, NOON + n + 0.8, 0.9, (n,) if parcels else ())
        seen.acts[act.key] = act
        if zone is not None:
            seen.noted[act.key] = noted(act, zone, together, moved_on=n < moved_on)
    return seen


def noted(act: Act, zone: str, together: int = 1, *, moved_on: bool = False) -> Noted:
    there = next(one for one in CAMERA.zones if one.name == zone)
    allowed = Policies(Shifts(Calendar(), "Etc/UTC")).at(there, act.started_at, together)
    return Noted(act, there, allowed, moved_on=moved_on)


def steps(**changes: Any) -> Steps:
    least = {IncidentKind.LABEL_PHOTOGRAPHY: 0.8}
    return Steps(config(**changes), CAMERA, least, TALL)


@pytest.mark.parametrize(
    ("person_seen", "stopped_at"),
    [
        (witnessed(moment(zone=None), photos=0), "place"),
        (witnessed(photos=3, zone=None), "place"),
        (witnessed(photos=3, zone="bench"), "forbidden"),
        (witnessed(photos=3, zone="count"), "forbidden"),
        (witnessed(moment(height=100, device=None, belief=0.1)), "near"),
        (witnessed(moment(passed_over=True, device=None, chances=None, belief=0.0)), "looked"),
        (witnessed(moment(device=None, chances=like("none"), belief=0.0)), "device"),
        (witnessed(moment(chances=like("call"), belief=0.1)), "photo"),
        (witnessed(moment(height=100, chances=like("browse"), belief=0.1)), "photo"),  # near enough to be seen
        (witnessed(photos=1), "enough"),
        (witnessed(moment(height=100), photos=1), "enough"),
        (witnessed(photos=3, parcels=False), "enough"),
        (witnessed(moment(zone="bench", chances=like("call")), moment(1.0, chances=like("call"))), "photo"),
        (witnessed(photos=3, zone="few", together=2), "forbidden"),
        (witnessed(photos=3, zone="few", together=3, score=0.5), "sure"),
        (witnessed(photos=3, moved_on=2), "scanned"),
        (witnessed(photos=1, moved_on=1), "enough"),
        (witnessed(photos=3, zone="strict", kind=ActKind.SCAN, score=0.5), "sure"),
        (witnessed(photos=1, zone="strict", kind=ActKind.SCAN), "enough"),
        (witnessed(photos=3, kind=ActKind.SCAN), "photo"),
        (witnessed(photos=3), "sure"),
        (witnessed(photos=3, score=0.79), "sure"),
        (witnessed(photos=1, score=0.79), "sure"),  # others photographed as well
        (witnessed(photos=3, score=0.8), None),
    ],
)
def test_the_first_step_that_was_not_taken_says_why(person_seen: Witnessed, stopped_at: str | None) -> None:
    found = first_not_taken(steps().of(person_seen))
    assert (found.name if found else None) == stopped_at


def test_where_label_photography_is_switched_off_that_is_why_however_sure(tmp_path: Path) -> None:
    off = Steps(config(), CAMERA, {IncidentKind.LABEL_PHOTOGRAPHY: wire.OFF}, TALL)
    people = [witnessed(photos=3, score=1.0)]
    step = first_not_taken(off.of(people[0]))
    assert step is not None and step.name == "sure"
    write_page(tmp_path / "why.html", account(*people), off, "why.mp4", "Asia/Shanghai")
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "switched off at this camera" in page and "switch it on again" in page and "2.00" not in page


def test_what_comes_after_the_step_that_decides_is_not_told() -> None:
    names = [step.name for step in until_decided(steps().of(witnessed(moment(height=100, chances=like("call")))))]
    assert names == ["place", "forbidden", "near", "looked", "device", "photo"]


@pytest.mark.parametrize(("whole", "cut_off", "near"), [(3, 1, [False]), (1, 3, [True]), (0, 3, [])])
def test_whom_the_pictures_lower_edge_cuts_off_is_near(whole: int, cut_off: int, near: list[bool]) -> None:
    seen = witnessed(*[moment(height=100.0)] * whole, *[moment(height=None)] * cut_off)
    assert [step.taken for step in steps().of(seen) if step.name == "near"] == near


def test_of_a_model_that_nobody_measured_nothing_is_said_of_how_near() -> None:
    asked = Steps(config(), CAMERA, {}, None)
    assert "near" not in [step.name for step in asked.of(witnessed())]


def test_whoever_may_photograph_there_is_told_for_what_reason() -> None:
    (found,) = [step for step in steps().of(witnessed(photos=2, zone="count")) if step.name == "forbidden"]
    assert found.said == {"zones": ["count"], "because": "stock count", "few": False}


@pytest.mark.parametrize(("zone", "hangs"), [("few", True), ("bulk", False)])
def test_where_it_hangs_on_how_many_they_are_whether_photos_are_forbidden_it_is_said(zone: str, hangs: bool) -> None:
    asked = steps().of(witnessed(moment(zone=zone, chances=like("call"), belief=0.1)))
    (found,) = [step for step in asked if step.name == "forbidden"]
    assert found.taken and found.said["few"] is hangs


def test_photos_that_are_allowed_do_not_count_among_those_that_are_not() -> None:
    seen = witnessed(photos=3)
    for act in list(seen.acts.values())[1:]:
        seen.noted[act.key] = noted(act, "bench")
    found = first_not_taken(steps().of(seen))
    assert found is not None and found.name == "enough" and found.said["n"] == 1


def test_the_belief_asked_for_is_that_of_the_error_set() -> None:
    asked = {error: steps(rules={"photo": {"error": error}}).least_belief for error in (0.1, 0.25)}
    assert asked[0.1] == pytest.approx(0.8) and asked[0.25] < asked[0.1]


# What is kept of a time.


def watched(
    monkeypatch: pytest.MonkeyPatch, scenes: Sequence[Scene], *, until: float = inf, camera: Camera = CAMERA
) -> Witness:
    """A witness of scenes, by plain weights; it is kept of frame times 0 to `until`."""
    monkeypatch.setattr("detector.why.account.load_weights", weighing)
    witness = Witness(config(cameras=[camera.model_dump()]), camera, 0.0)
    witness.until = until
    for n, one in enumerate(scenes):
        witness.observe(frame(one.at), Sight(one, {}, first=n == 0), [])
    return witness


def of_zone(zone: Zone) -> Camera:
    return CAMERA.model_copy(update={"zones": [zone]})


def stopped_at(witness: Witness, camera: Camera = CAMERA) -> list[str | None]:
    asked = Steps(config(cameras=[camera.model_dump()]), camera, {}, None)
    found = [first_not_taken(asked.of(one)) for one in witness.account().people]
    return [step.name if step else None for step in found]


TWO = [Photo(1, 3.5, 1), Photo(6, 8.5, 2)]


def test_a_photo_after_the_time_asked_for_counts_with_those_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = watched(monkeypatch, photographed(TWO, times(0, 10, 5)), until=4.0)
    account = witness.account()
    assert (account.until, account.looked_until) == (4.0, 10.0)
    (seen,) = account.people
    assert len(seen.acts) == 1 and seen.moments[-1].at == 4.0
    assert stopped_at(witness) == [None]


@pytest.mark.parametrize(
    ("until", "seen_until"), [(4.0, 4.0), (4.0, 8.0)], ids=["the recording ends with it", "it ends after"]
)
def test_a_photo_that_began_before_the_time_asked_for_and_goes_on_all_through_it_is_kept(
    until: float, seen_until: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = photographed([Photo(-4, 6, 1)], times(-5, seen_until, 5))
    (seen,) = watched(monkeypatch, scenes, until=until).account().people
    assert [act.kind for act in seen.acts.values()] == [ActKind.PHOTO] and len(seen.noted) == 1


def test_a_photo_that_is_not_over_for_sure_when_the_time_asked_for_begins_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (seen,) = watched(monkeypatch, photographed([Photo(-3, -0.3, 1)], times(-5, 0.2, 5))).account().people
    assert seen.belief > 0.5 and len(seen.acts) == 1
    (seen,) = watched(monkeypatch, photographed([Photo(-9, -6.3, 1)], times(-10, 0.2, 5))).account().people
    assert seen.acts == {}


def test_a_finding_told_before_the_time_asked_for_is_of_whoever_still_photographs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = [Photo(-9, -6.5, 2), Photo(-4, 2, 1)]
    witness = watched(monkeypatch, photographed(began, times(-10, 1, 5)))
    assert stopped_at(witness) == [None]
    (seen,) = witness.account().people
    assert len(seen.acts) == 1 and seen.score is not None
    over = watched(monkeypatch, photographed([Photo(-9, -6.5, 2), Photo(-4, -1.5, 1)], times(-10, 1, 5)))
    assert [one.score for one in over.account().people] == [None], "who photographs no longer isn't in it"


def test_it_is_waited_for_what_follows_a_photo_until_none_could_count_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = watched(monkeypatch, photographed(TWO[:1], times(0, 5, 5)), until=5.0)
    assert witness.waits(5.0) and not witness.waits(5.0 + 180)
    assert not watched(monkeypatch, photographed([], times(0, 5, 5))).waits(5.0)
    bench = of_zone(BENCH)
    assert not watched(monkeypatch, photographed(TWO[:1], times(0, 5, 5)), camera=bench).waits(5.0)


def test_it_is_waited_no_longer_when_a_sweep_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = watched(monkeypatch, photographed(TWO, times(0, 9, 5)))
    other = replace(told(kind=IncidentKind.LINGERING), started_at=1.0, ended_at=8.0, tracks=(1,))
    witness.tell([IncidentUpdate(Phase.NEW, None, other)])
    assert witness.waits(9.0), "who lingers may photograph as well"
    assert witness.account().people[0].incident is None
    sweep = replace(other, id="i2", kind=IncidentKind.LABEL_PHOTOGRAPHY)
    witness.tell([IncidentUpdate(Phase.NEW, None, sweep)])
    assert not witness.waits(9.0) and witness.account().people[0].incident == sweep


def test_what_began_after_the_time_asked_for_was_not_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = watched(monkeypatch, photographed(TWO[:1], times(0, 9, 5)), until=5.0)
    witness.tell([IncidentUpdate(Phase.NEW, None, replace(told(), started_at=5.4, ended_at=9.0))])
    assert witness.account().incidents == ()


@pytest.mark.parametrize(("people", "step"), [(1, "forbidden"), (2, "forbidden"), (3, None)])
def test_an_exemption_for_a_few_people_holds_for_as_many_as_photograph_together(
    people: int, step: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [replace(photo, by=n) for photo in TWO for n in range(1, people + 1)]
    camera = of_zone(FEW)
    assert stopped_at(watched(monkeypatch, photographed(photos, times(0, 10, 5)), camera=camera), camera) == (
        [step] * people
    )


def test_quick_photos_of_parcels_that_are_taken_away_after_were_taken_for_scans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = photographed([Photo(1, 2.4, 1), Photo(30, 31.4, 2)], times(0, 40, 5))
    gone = {1: 4.0, 2: 34.0}
    seen = [replace(one, parcels=tuple(p for p in one.parcels if one.at < gone.get(p.id, inf))) for one in quick]
    assert stopped_at(watched(monkeypatch, seen)) == ["scanned"]


def test_photos_of_what_lies_in_an_ignored_zone_are_of_no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    ignored = Zone(name="belt", kind="ignore", polygon=[(0, 0), (1, 0), (1, 1), (0, 1)])
    camera = of_zone(ignored)
    assert stopped_at(watched(monkeypatch, photographed(TWO, times(0, 10, 5)), camera=camera), camera) == ["place"]


def test_whoever_returns_under_another_number_has_part_in_what_both_did(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for one in photographed(TWO, times(0, 10, 5)):
        if one.at < 5:
            seen.append(one)
        else:
            people = [replace(p, id=9) for p in one.people]
            devices = [replace(d, holder=9) for d in one.devices]
            ended = frozenset({1}) if not seen[-1].ended and seen[-1].people[0].id == 1 else frozenset()
            seen.append(replace(one, people=tuple(people), devices=tuple(devices), ended=ended))
    assert stopped_at(watched(monkeypatch, seen)) == [None, None]


def test_whoever_bears_a_number_after_time_leapt_is_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = photographed(TWO, times(0, 10, 5))
    witness = watched(monkeypatch, [one for one in scenes if one.at < 5])
    for n, one in enumerate(one for one in scenes if one.at >= 5):
        later = replace(one, at=one.at + 100)
        witness.observe(frame(later.at), Sight(later, {}, first=n == 0), [])
    assert [one.who[1] for one in witness.account().people] == [1, 1]
    assert stopped_at(witness) == ["enough", "enough"]
    assert witness.account().breaks == (pytest.approx((4.8, 105.0)),)


# The page.


def account(*people: Witnessed, incidents: tuple[Incident, ...] = ()) -> Account:
    return Account(CAMERA, True, NOON - 180, NOON + 90, NOON, NOON + 60, people, incidents, ((NOON + 3, NOON + 9),))


def told(severity: Severity = Severity.WARNING, kind: IncidentKind = IncidentKind.LABEL_PHOTOGRAPHY) -> Incident:
    return Incident("i1", "cam1", kind, severity, 0.97, "bulk", NOON, NOON + 9, (3,), facts={"photos": 4})


def test_the_headline_says_whether_it_was_told_and_if_not_why_of_the_likeliest() -> None:
    zh, en = headline(account(witnessed(moment(chances=like("call"), belief=0.1)), witnessed()), steps())
    assert "没有报警" in zh and "打电话" in zh and "person 3" in en and "“call”" in en
    assert headline(account(), steps()) == (ZH["nobody"], EN["nobody"])
    zh, en = headline(account(witnessed(), incidents=(told(),)), steps())
    assert "it is told: one incident" in en and EN["next_told"][:-1] in en and ZH["next_told"][:-1] in zh


def test_where_something_else_was_told_it_is_not_said_that_nobody_was_told() -> None:
    zh, en = headline(account(witnessed(photos=1), incidents=(told(kind=IncidentKind.LINGERING),)), steps())
    assert ZH["told_else"] in zh and EN["told_else"] in en and EN["not_told"] + "." not in en


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (witnessed(photos=3, score=0.7996), "believed to 0.79 only, below the 0.80"),
        (witnessed(moment(belief=0.5651)), "up to 0.56, where 0.57"),
        (witnessed(moment(height=TALL - 0.3, device=None), moment(height=TALL - 0.3, device=None)), "246 pixels"),
        (witnessed(moment(belief=0.9)), "believed up to 0.90), but for less than 0.8 s"),
    ],
)
def test_what_is_too_little_does_not_read_as_enough(seen: Witnessed, said: str) -> None:
    assert said in headline(account(seen), steps())[1]


def test_where_only_the_date_of_a_file_tells_when_it_was_that_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], allowed: tuple[Path, Mapping[str, Any]]
) -> None:
    make_video(tmp_path / "clip.avi", seconds=2)
    words = ["--out", tmp_path / "out", "--json"]
    for more, dated in (([], False), (["--start", "2026-11-20T14:00:00"], True)):
        assert run(allowed[0], *words, *more, recordings=tmp_path / "clip.avi") == 0
        assert json.loads(capfd.readouterr().out)["dated"] is dated
        page = (tmp_path / "out" / "why.html").read_text(encoding="utf-8")
        assert (EN["undated"] in page) is not dated
    assert EN["undated"] in headline(replace(account(), dated=False), steps())[1]


def test_a_camera_that_the_configuration_does_not_know_is_said() -> None:
    zh, en = headline(replace(account(witnessed()), configured=False), steps())
    assert "配置里没有摄像机“cam1”" in zh and "knows no camera cam1" in en


@pytest.mark.parametrize(
    "seen",
    [
        witnessed(moment(zone=None)), witnessed(photos=3, zone="few"), witnessed(moment(height=90, device=None)),
        witnessed(moment(passed_over=True, device=None)), witnessed(moment(device=None)), witnessed(),
        witnessed(photos=3, moved_on=3), witnessed(photos=1), witnessed(photos=3, score=0.5), witnessed(photos=3),
    ],
)  # fmt: skip
def test_whatever_step_was_not_taken_it_is_said_what_can_be_done(seen: Witnessed) -> None:
    zh, en = headline(account(seen), steps())
    assert re.search(f"{ZH['next']}.{{10}}", zh) and re.search(f"{EN['next']}.{{20}}", en)


def test_of_nobody_who_hardly_looks_like_it_is_said_that_they_are_the_likeliest() -> None:
    calling = like("call")
    found = {
        (belief, photos): headline(account(witnessed(moment(chances=calling, belief=belief), photos=photos)), steps())[
            1
        ]
        for belief, photos in ((0.0, 0), (0.3, 0), (0.0, 1))
    }
    assert [said.count("Nobody looks as if") for said in found.values()] == [1, 0, 0]


@pytest.mark.parametrize("name", ["place", "forbidden", "near", "looked", "device", "photo", "enough", "sure"])
def test_each_step_has_words_whether_taken_or_not(name: str) -> None:
    for texts in (ZH, EN):
        assert texts[f"{name}_yes"] and texts[f"{name}_no"]


def test_every_text_is_there_in_both_languages_and_used() -> None:
    assert ZH.keys() == EN.keys()
    folder = REPOSITORY / "detector" / "why"
    code = "".join((folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.py"))
    of_steps = {key for key in ZH if re.fullmatch(r"\w+_(yes|no)", key)}
    of_steps |= {key for key in ZH if key.startswith("next_")}
    of_kinds = {*KINDS, "unclear", "phone", "scanner"}
    assert ZH.keys() - of_steps - of_kinds <= set(re.findall(r'"(\w+)"', code))


def test_a_page_of_every_kind_of_end_can_be_written(tmp_path: Path) -> None:
    people = [
        witnessed(moment(zone=None)), witnessed(photos=3, zone="count"), witnessed(moment(height=90, device=None)),
        witnessed(moment(passed_over=True, device=None, chances=None)), witnessed(photos=3, score=0.5),
        witnessed(photos=3), replace(witnessed(photos=3, score=0.97), incident=told()),
        witnessed(photos=3, zone="few"), witnessed(photos=3, moved_on=3), witnessed(photos=1, score=0.5),
        witnessed(photos=2, zone="strict", kind=ActKind.SCAN, score=0.5),
    ]  # fmt: skip
    for incidents in ((), (told(), told(Severity.INFO))):
        write_page(tmp_path / "why.html", account(*people, incidents=incidents), steps(), "why.mp4", "Asia/Shanghai")
        page = (tmp_path / "why.html").read_text(encoding="utf-8")
        assert "stock count" in page and page.count("<article") == len(people)
        assert ">、</span>" in page, "between the acts of somebody, in Chinese"
    write_page(tmp_path / "why.html", account(), steps(), "why.mp4", "Asia/Shanghai")


@given(st.lists(st.tuples(st.floats(0, 59), st.sampled_from([*KINDS, None]), st.floats(0, 1)), min_size=1, max_size=30))
def test_whatever_was_seen_is_drawn_within_its_time(looks: list[tuple[float, str | None, float]]) -> None:
    seen = witnessed(
        *(
            moment(at, chances=kind and like(kind), belief=belief)
            for at, kind, belief in sorted(looks, key=lambda x: x[0])
        )
    )
    shapes = strip(seen, NOON, NOON + 60)
    assert all(x >= 0 and x + width <= 1000.05 and width >= 0 for x, width, _ in shapes.blocks)
    assert {kind for _, _, kind in shapes.blocks} == {kind for _, kind, _ in looks if kind}
    points = [tuple(map(float, point)) for point in re.findall(r"[ML]([\d.]+),([\d.]+)", shapes.belief)]
    assert len(points) == len(looks) and all(0 <= x <= 1000 and 0 <= y <= 100 for x, y in points)


def test_the_line_breaks_off_where_somebody_is_out_of_view() -> None:
    assert strip(witnessed(moment(0), moment(0.2), moment(9)), NOON, NOON + 60).belief.count("M") == 2


# The film.


def noise(width: int = 320, height: int = 200) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_no_label_can_be_read_in_the_film() -> None:
    image = noise()
    lies = (100.0, 60.0, 180.0, 120.0)
    shown = drawn(image, scene(NOON, parcels=[parcel(1, lies)], labels=[(110, 70, 150, 90)]), {}, "")
    x1, y1, x2, y2 = (int(v) for v in lies)
    inside = (slice(y1 + 4, y2 - 4), slice(x1 + 4, x2 - 4))
    assert shown[inside].std() < 0.4 * image[inside].std()
    assert np.array_equal(shown[:50, :90], image[:50, :90]), "what is beside it is left as it is"


def test_whoever_is_believed_to_photograph_is_drawn_red() -> None:
    there = scene(NOON, [person(1, (20, 60, 80, 180)), person(2, (200, 60, 260, 180))])
    grey = np.full((200, 320, 3), 128, np.uint8)
    shown = drawn(grey, there, {1: 1.0, 2: 0.0}, "").astype(int)
    redness = [(shown[:, x, 2] - shown[:, x, 0]).max() for x in (20, 200)]
    assert redness[0] > 150 and redness[1] < 20


def test_a_film_keeps_the_times_of_its_frames_though_the_picture_changes_its_size(tmp_path: Path) -> None:
    from detector.media.pictures import Bgr
    from detector.values import Frame

    film = Film(tmp_path / "f.mp4")
    for n, (at, size) in enumerate([(0.0, (1921, 1081)), (0.2, (1921, 1081)), (4.2, (640, 360)), (4.2, (640, 360))]):
        film.add(Frame("cam1", n, NOON + at, Bgr(noise(*size))), scene(NOON + at, size=size), {}, "14:00:00")
    film.close()
    with av.open(str(tmp_path / "f.mp4")) as found:
        frames = [frame.time for frame in found.decode(video=0)]
        assert frames[:3] == pytest.approx([0, 0.2, 4.2], abs=0.002) and len(frames) == 5
        assert found.streams.video[0].width == WIDTH and found.streams.video[0].height % 2 == 0


# The command.


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The demo's sweep in a hall where phones are allowed, so that nobody is told of it."""
    folder = tmp_path_factory.mktemp("why")
    asked = yaml.safe_load((DEMO / "demo.yaml").read_text(encoding="utf-8"))
    asked |= {"data_dir": str(folder / "data"), "analysis": {"fps": 5}}
    asked["cameras"][0] |= {"source": str(SWEEP)}
    asked["cameras"][0]["zones"][0]["policy"] = {"phones": "allowed"}
    (folder / "edge.yaml").write_text(yaml.safe_dump(asked, allow_unicode=True), encoding="utf-8")
    return folder, asked


def run(folder: Path, *words: str | Path, recordings: str | Path = SWEEP) -> int:
    given = ["why", recordings, "--config", folder / "edge.yaml", "--out", folder / "out", *words]
    return main([str(word) for word in given])


def test_of_a_sweep_where_phones_are_allowed_all_is_told_and_why_nobody_was(
    allowed: tuple[Path, Mapping[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    folder, _ = allowed
    assert run(folder, "--start", "2026-11-20T14:00:00", "--at", "2026-11-20T14:00:12", "--around", "6", "--json") == 0
    said = json.loads(capfd.readouterr().out)
    assert said["incidents"] == [] and said["camera"] == "cam-03" and said["unreadable"] == []
    assert said["since"] == "2026-11-20T06:00:06.000Z" and said["until"] < "2026-11-20T06:00:18.100Z"
    likeliest = said["people"][0]
    assert likeliest["stopped_at"] == "forbidden" and likeliest["belief"] > 0.8
    assert {act["kind"] for act in likeliest["acts"]} == {"photo"}
    assert [step["taken"] for step in likeliest["steps"] if step["name"] in ("near", "device", "photo")] == [True] * 3
    page = (folder / "out" / "why.html").read_text(encoding="utf-8")
    assert "在 bulk" in page or "bulk 里" in page
    with av.open(str(folder / "out" / "why.mp4")) as film:
        assert film.duration is not None and 11 < film.duration / av.time_base < 13
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["why.html", "why.mp4"]


def test_a_sweep_that_is_told_only_by_what_follows_the_time_asked_for_was_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], allowed: tuple[Path, Mapping[str, Any]]
) -> None:
    strict = yaml.safe_load(yaml.safe_dump(allowed[1]))
    strict["cameras"][0]["zones"][0].pop("policy")
    (tmp_path / "edge.yaml").write_text(yaml.safe_dump(strict, allow_unicode=True), encoding="utf-8")
    assert (
        run(tmp_path, "--start", "2026-11-20T14:00:00", "--at", "2026-11-20T14:00:02", "--around", "2", "--json") == 0
    )
    said = json.loads(capfd.readouterr().out)
    assert [one["kind"] for one in said["incidents"]] == ["label_photography"]
    assert len(said["people"][0]["acts"]) == 1 and said["people"][0]["stopped_at"] is None
    assert said["until"] < "2026-11-20T06:00:04.100Z"


def test_a_time_that_no_recording_shows_is_one_clear_line(
    allowed: tuple[Path, Mapping[str, Any]], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(allowed[0], "--out", out, "--start", "2026-11-20T14:00:00", "--at", "2026-11-21T14:00:00") == 2
    told = capfd.readouterr().err.splitlines()[-1]
    assert "no recording of cam-03 shows 2026-11-21 14:00:00" in told and "2026-11-20 14:00:00" in told
    assert list(out.iterdir()) == []


def test_what_breaks_off_is_shown_as_far_as_it_goes_and_said(
    allowed: tuple[Path, Mapping[str, Any]], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_video(tmp_path / "whole.mkv", seconds=9)
    whole = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "footage").mkdir()
    (tmp_path / "footage" / "a.mkv").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "footage" / "b.mkv").write_bytes(b"no video")
    assert run(allowed[0], "--out", tmp_path / "footage" / "out", recordings=tmp_path / "footage" / "a.mkv") == 1
    assert "breaks off after" in capfd.readouterr().err
    assert (tmp_path / "footage" / "out" / "why.html").exists()
    # Its own film isn't footage.
    assert run(allowed[0], "--out", tmp_path / "footage" / "out", "--camera", "b", recordings=tmp_path / "footage") == 1
    assert "not a video file" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--at", "yesterday"], "--at: not a time"),
        (["--camera", "nobody"], "no recording is of the camera nobody"),
        (["--out", str(SWEEP)], "--out: is no folder"),
        (["--around", "0"], "must be a whole number of 1 or more"),
    ],
)
def test_misuse_is_one_clear_error(
    allowed: tuple[Path, Mapping[str, Any]], capfd: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    try:
        assert run(allowed[0], *words) == 2
    except SystemExit as stopped:
        assert stopped.code == 2
    assert reason in capfd.readouterr().err
