"""From frames to incident updates, with a detector that is told what to see."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from detector.alerts.incidents import IncidentBook
from detector.alerts.snapshot import snapshot_jpeg
from detector.assembly import build_pipeline
from detector.config import Analysis, Camera, EdgeConfig, Incidents, Policy, Rules, TamperRule, Zone
from detector.geometry import as_box, centre
from detector.inference.looker import SceneLooker
from detector.media.pictures import Bgr
from detector.pipeline import Pipeline, Stages
from detector.tracking import SceneTracker
from detector.values import Box, Detections, Frame, IncidentKind, IncidentUpdate, Phase, Scene, Severity, Signal
from tests.builders import SIZE, box_at, detections, frame, moved, times
from tests.conftest import REPOSITORY
from tests.rules.staging import PLACES, STANDING, Photo, aimed, weighing

START = 1_793_525_160.0  # 2026-11-01T09:26:00Z
Rows = list[tuple[str, Box, float, dict[str, float]]]
Script = Callable[[float], Rows]

LOOKS = ("act_photo", "act_scan", "act_call", "act_browse")


def looked(what: str | None = None) -> dict[str, float]:
    """What the closer look at a person says."""
    return {name: 0.9 if name == what else 0.03 for name in LOOKS}


PARCELS: Rows = [("parcel", box, 0.85, {"up": 0.9, "not_up": 0.05}) for box in PLACES.values()]
LABELS: Rows = [("label", box_at(centre(box), 20, 14), 0.7, {}) for box in PLACES.values()]


@pytest.fixture(autouse=True)
def _plain_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """What speaks for which act is learnt anew from time to time; the way from frames to incidents is not."""
    monkeypatch.setattr("detector.rules.acts.load_weights", weighing)


class ScriptedDetector:
    """Sees what the script says, by seconds since the start."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.people: list[tuple[Box, ...]] = []

    def detect(self, frame: Frame, people: Iterable[Box] = (), turns: object = None) -> Detections:
        self.people.append(tuple(people))
        return detections(self.script(round(frame.captured_at - START, 3)))


def pipeline_of(detector: ScriptedDetector, zones: Sequence[Zone] = ()) -> Pipeline:
    camera = Camera(name="cam", source="rtsp://10.0.0.1/1", **({"zones": list(zones)} if zones else {}))
    config = EdgeConfig(site="site", edge="edge", cameras=[camera], analysis=Analysis(gate=False))
    return build_pipeline(config, camera, detector)


def photographer(photos: Sequence[Photo]) -> Script:
    """Somebody who stands before parcels and photographs some of them."""

    def script(t: float) -> Rows:
        phones: Rows = [
            ("phone", aimed(STANDING, PLACES[p.parcel]), 0.8, {"photo": 0.9}) for p in photos if p.start <= t <= p.end
        ]
        return [("person", STANDING, 0.9, looked("act_photo" if phones else None)), *phones, *PARCELS, *LABELS]

    return script


def frames(seconds: float, fps: float = 5) -> list[Frame]:
    picture = frame(0)
    return [replace(picture, index=n, captured_at=START + t) for n, t in enumerate(times(0, seconds, fps))]


def run(script: Script, shown: Iterable[Frame], zones: Sequence[Zone] = ()) -> list[IncidentUpdate]:
    pipeline = pipeline_of(ScriptedDetector(script), zones)
    updates = [update for each in shown for update in pipeline.process(each)]
    return updates + pipeline.finish()


SWEEP = photographer([Photo(3, 5, 1), Photo(7, 9, 2), Photo(11, 13, 3)])


def rules_written() -> set[str]:
    """Names of the classes in `rules/` of which `observe` gives signals."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (REPOSITORY / "detector/rules").glob("*.py")]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    return {
        one.name
        for one in classes
        for part in one.body
        if isinstance(part, ast.FunctionDef) and part.name == "observe" and part.returns
        if "Signal" in ast.unparse(part.returns)
    }


def test_every_rule_that_is_written_is_made() -> None:
    made = pipeline_of(ScriptedDetector(lambda t: []))._stages.rules
    assert rules_written() - {type(rule).__name__ for rule in made} == set(), "`_stages` of assembly.py makes them"


def test_three_photos_become_one_incident_with_a_beginning_and_an_end() -> None:
    updates = run(SWEEP, frames(18))
    assert updates[0].phase is Phase.NEW
    assert updates[-1].phase is Phase.END
    assert {u.phase for u in updates[1:-1]} == {Phase.UPDATE}
    assert len({u.after.id for u in updates}) == 1
    last = updates[-1].after
    assert (last.kind, last.camera, last.zone) == (IncidentKind.LABEL_PHOTOGRAPHY, "cam", "all")
    assert last.severity is Severity.WARNING
    assert [act.parcels for act in last.acts] == [(1,), (2,), (3,)]
    assert [round(act.started_at - START, 1) for act in last.acts] == [3, 7, 11]
    assert last.labels_exposed.low == 3
    assert last.labels_exposed.best <= len(PLACES)
    assert last.started_at - START == pytest.approx(3)
    assert sum(what == "label" for what, _ in last.boxes) == len(PLACES)


def test_the_first_word_comes_while_the_second_photo_is_being_taken() -> None:
    pipeline = pipeline_of(ScriptedDetector(SWEEP))
    first = next(each.captured_at - START for each in frames(18) if pipeline.process(each))
    assert 7 < first < 9


def test_live_and_replay_give_equal_updates_and_ids() -> None:
    """A recording knows its file and offset, a camera has been running for a while: no stage may look at either."""
    live = [replace(each, index=each.index + 70_000) for each in frames(18)]
    recorded = [replace(each, file="cam.mp4", offset_s=each.captured_at - START) for each in frames(18)]
    assert run(SWEEP, live) == run(SWEEP, recorded)


class Times:
    """A rule that keeps the times of what it observes."""

    def __init__(self) -> None:
        self.observed: list[float] = []

    def observe(self, scene: Scene) -> list[Signal]:
        self.observed.append(scene.at)
        return []


@pytest.mark.parametrize("fps", [4, 5, 7, 12.5, 24, 30])
@pytest.mark.parametrize("begins", [0.2, 2.1, 6.3, 61.7])
def test_the_same_moments_are_the_same_to_the_last_digit_by_whatever_clock(begins: float, fps: float) -> None:
    ways: list[list[float]] = []
    for of_file in (0.0, begins):
        rule, offsets = Times(), [n / fps for n in range(50)]
        pipeline = Pipeline(
            SceneLooker(ScriptedDetector(lambda t: [])),
            lambda rule=rule: Stages(SceneTracker(), (rule,), IncidentBook("site", Incidents())),
        )
        for at in [START + of_file + (begins - of_file + offset) for offset in offsets]:
            pipeline.process(replace(frame(0), captured_at=at))
        ways.append(rule.observed)
    assert ways[0] == ways[1]


def test_twice_the_frame_rate_gives_the_same_incident() -> None:
    slow, fast = (run(SWEEP, frames(18, fps))[-1].after for fps in (5, 10))
    assert slow.id == fast.id
    assert [act.parcels for act in slow.acts] == [act.parcels for act in fast.acts]
    assert slow.labels_exposed == fast.labels_exposed
    for a, b in zip(slow.acts, fast.acts, strict=True):
        assert a.ended_at == pytest.approx(b.ended_at, abs=0.201)


@pytest.mark.parametrize("seed", range(3))
def test_shaky_boxes_and_missed_phones_change_nothing_that_matters(seed: int) -> None:
    random = np.random.default_rng(seed)

    def shaky(t: float) -> Rows:
        return [
            (label, as_box(np.add(box, random.normal(0, 1, 4)).astype(np.float32)), score, traits)
            for label, box, score, traits in SWEEP(t)
            if random.random() > (0.3 if label == "phone" else 0.05)
        ]

    last = run(shaky, frames(18))[-1].after
    assert [act.parcels for act in last.acts] == [(1,), (2,), (3,)]


def walking_with_a_phone(t: float) -> Rows:
    who = moved(STANDING, (-500 + 150 * t, 0))
    phone = ("phone", aimed(who, moved(who, (60, 180))), 0.8, {"photo": 0.8})
    return [("person", who, 0.9, looked("act_browse")), phone, *PARCELS]


def scanning(t: float) -> Rows:
    target = PLACES[1 + int(t // 3) % 4]
    return [("person", STANDING, 0.9, looked("act_scan")), ("scanner", aimed(STANDING, target), 0.8, {}), *PARCELS]


def calling(t: float) -> Rows:
    phone = ("phone", box_at((655, 318), 12, 20), 0.8, {"call": 0.8})
    return [("person", STANDING, 0.9, looked("act_call")), phone, *PARCELS]


def reading(t: float) -> Rows:
    phone = aimed(STANDING, PLACES[1 + int(t // 3) % 4])
    return [("person", STANDING, 0.9, looked("act_browse")), ("phone", phone, 0.8, {"photo": 0.1}), *PARCELS]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda t: [], id="nobody"),
        pytest.param(walking_with_a_phone, id="walking past with a phone"),
        pytest.param(scanning, id="scanning one parcel after the other"),
        pytest.param(calling, id="on the phone"),
        pytest.param(reading, id="reading the phone"),
        pytest.param(photographer([Photo(3, 5, 1)]), id="one photo"),
        pytest.param(photographer([Photo(3, 5, 1), Photo(15, 17, 1)]), id="two photos of one parcel"),
    ],
)
def test_ordinary_work_raises_nothing(script: Script) -> None:
    assert run(script, frames(20)) == []


@pytest.mark.parametrize("speed", [20, 60, 100])
def test_parcels_that_are_only_carried_past_have_not_come_to_lie_there(speed: float) -> None:
    def carried(t: float) -> Rows:
        boxes = [(90 * n + speed * t, 400.0, 90 * n + speed * t + 60, 450.0) for n in range(3)]
        return [("parcel", box, 0.85, {"up": 0.9, "not_up": 0.05}) for box in boxes if t > 5]

    pipeline = pipeline_of(ScriptedDetector(carried))
    for each in frames(25):
        pipeline.process(each)
    (zone,) = pipeline.census()
    assert (zone.came_up, zone.up) == (0, 0)


def test_where_phones_are_allowed_a_sweep_raises_nothing() -> None:
    polygon = [(0, 0), (1, 0), (1, 1), (0, 1)]
    allowed = Zone(name="packing", kind="packing", polygon=polygon, policy=Policy(phones="allowed"))
    assert run(SWEEP, frames(18), [allowed]) == []
    assert run(SWEEP, frames(18), [Zone(name="packing", kind="packing", polygon=polygon)]) != []


def test_an_incident_ends_by_itself_when_nothing_more_is_seen() -> None:
    def leaving(t: float) -> Rows:
        return SWEEP(t) if t < 18 else []

    pipeline = pipeline_of(ScriptedDetector(leaving))
    shown = [*frames(18), *(replace(frame(0), captured_at=START + t) for t in range(19, 240))]
    ends = [each.captured_at - START for each in shown for u in pipeline.process(each) if u.phase is Phase.END]
    assert len(ends) == 1
    assert 13 + 180 <= ends[0] <= 16 + 180
    assert pipeline.finish() == []


LEAP = 3600.0


def stamped(*times: float) -> list[Frame]:
    """Frames of these times after the start."""
    return [replace(frame(0), captured_at=START + t) for t in times]


def seen_at(detector: ScriptedDetector, pipeline: Pipeline, shown: Iterable[Frame]) -> list[float]:
    """Which of the frames were looked at, by seconds after the start."""
    seen = []
    for each in shown:
        before = len(detector.people)
        pipeline.process(each)
        seen += [each.captured_at - START] * (len(detector.people) - before)
    return seen


@pytest.mark.parametrize(
    ("given", "looked_at"),
    [
        pytest.param([0, 0.2, 0.2, 0.4], [0, 0.2, 0.4], id="one comes twice"),
        pytest.param([0, 0.2, 0.6, 0.4, 0.8], [0, 0.2, 0.6, 0.8], id="two change places"),
        pytest.param([0, 1, 2, LEAP, 3, 4], [0, 1, 2, 3, 4], id="one wrong time ahead"),
        pytest.param([0, 1, 2, -LEAP, 3, 4], [0, 1, 2, 3, 4], id="one wrong time back"),
        pytest.param([0, 1, LEAP, LEAP + 1, LEAP + 2], [0, 1, LEAP + 1, LEAP + 2], id="ahead for good"),
        pytest.param([0, 1, -LEAP, 1 - LEAP, 2 - LEAP], [0, 1, 1 - LEAP, 2 - LEAP], id="back for good"),
        pytest.param([0, LEAP, 1, LEAP + 1, 2, LEAP + 2, 3], [0, 1, 2, 3], id="two streams in one"),
        pytest.param([0, float("nan"), float("inf"), 1], [0, 1], id="no times at all"),
        pytest.param([0, 1e12, 1e12 + 1, 1e12 + 2, 1], [0, 1], id="times that no calendar holds"),
        pytest.param([0, -1e12, 1 - 1e12, 2 - 1e12, 1], [0, 1], id="nor these"),
        pytest.param([0, 50, 100, 150], [0, 50, 100, 150], id="slow, without leaps"),
    ],
)
def test_frame_times_are_believed_as_far_as_they_make_sense(given: list[float], looked_at: list[float]) -> None:
    detector = ScriptedDetector(lambda t: [])
    pipeline = pipeline_of(detector)
    assert seen_at(detector, pipeline, stamped(*given)) == pytest.approx(looked_at)
    assert pipeline.left_out == len(given) - len(looked_at)


@pytest.mark.parametrize("told_s", [0.1, 3.0, 60.0, 600.0])
@pytest.mark.parametrize(("gap_s", "leaps"), [(0.2, False), (5.0, False), (55.0, False), (65.0, True)])
def test_how_large_a_step_back_is_told_says_nothing_of_time_that_goes_on(
    told_s: float, gap_s: float, leaps: bool
) -> None:
    camera = Camera(name="cam", source="rtsp://10.0.0.1/1")
    rules = Rules(tamper=TamperRule(clock_step_s=told_s))
    config = EdgeConfig(site="site", edge="edge", cameras=[camera], analysis=Analysis(gate=False), rules=rules)
    pipeline = build_pipeline(config, camera, ScriptedDetector(lambda t: []))
    first = []
    for each in stamped(0, 0.2, 0.2 + gap_s, 0.4 + gap_s):
        pipeline.process(each)
        first.append(pipeline.sight.first if pipeline.sight else None)
    assert first == ([True, False, None, True] if leaps else [True, False, False, False])


def test_a_frame_without_a_picture_is_left_out() -> None:
    pipeline = pipeline_of(ScriptedDetector(lambda t: []))
    assert pipeline.process(replace(frame(0), captured_at=START, picture=Bgr(np.zeros((0, 5, 3), np.uint8)))) == []
    assert pipeline.left_out == 1


@pytest.mark.parametrize("leap", [LEAP, -LEAP])
def test_where_time_leaps_incidents_end_and_what_comes_after_is_found_anew(leap: float) -> None:
    before = frames(15)
    after = [replace(each, captured_at=each.captured_at + leap) for each in frames(18)]
    shifted = ScriptedDetector(lambda t: SWEEP(t if -1 < t < 100 else round(t - leap, 3)))
    pipeline = pipeline_of(shifted)
    updates = [u for each in before for u in pipeline.process(each)]
    assert {u.phase for u in updates} == {Phase.NEW, Phase.UPDATE}
    updates += [u for each in after for u in pipeline.process(each)] + pipeline.finish()
    phases: dict[str, list[Phase]] = {}
    for u in updates:
        phases.setdefault(u.after.id, []).append(u.phase)
    assert all(
        (p[0], p[-1], p.count(Phase.NEW), p.count(Phase.END)) == (Phase.NEW, Phase.END, 1, 1) for p in phases.values()
    )
    kinds = sorted({u.after.id: u.after.kind.value for u in updates}.values())
    assert kinds == ["label_photography"] * 2 + ["tamper"] * (leap < 0)


class Student:
    """A rule that learns how many scenes there were, and remembers how many it saw itself."""

    def __init__(self) -> None:
        self.count = self.own = 0

    def observe(self, scene: Scene) -> list[Signal]:
        self.count, self.own = self.count + 1, self.own + 1
        return []

    def learned(self) -> dict[str, int]:
        return {"count": self.count}

    def recall(self, learned: dict[str, int]) -> None:
        self.count = learned["count"]


@pytest.mark.parametrize("change", ["time", "size"])
def test_what_was_learned_survives_and_what_was_remembered_does_not(change: str) -> None:
    students: list[Student] = []

    def build() -> Stages:
        students.append(Student())
        return Stages(SceneTracker(), (students[-1],), IncidentBook("site", Incidents()))

    pipeline = Pipeline(SceneLooker(ScriptedDetector(lambda t: [])), build)
    shown = stamped(0, 1, 2)
    shown += stamped(-LEAP, 1 - LEAP) if change == "time" else [replace(frame(3, (640, 360)), captured_at=START + 3)]
    for each in shown:
        pipeline.process(each)
    assert [(s.count, s.own) for s in students] == [(3, 3), (4, 1)]
    heir = Pipeline(SceneLooker(ScriptedDetector(lambda t: [])), build)
    heir.recall(pipeline.learned())
    assert students[-1].count == 4


class Withholding:
    """A rule that tells the first scene and keeps the others for later; it fails at a scene of this index."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.scenes: list[Scene] = []
        self.fails_at = fails_at

    def observe(self, scene: Scene) -> list[Signal]:
        self.scenes.append(scene)
        if len(self.scenes) - 1 == self.fails_at:
            raise RuntimeError("scripted")
        return [self.said()] if len(self.scenes) == 1 else []

    def withheld(self, scene: Scene) -> list[Signal]:
        assert scene is self.scenes[-1]
        assert self.fails_at is None
        return [self.said()]

    def said(self) -> Signal:
        began, now = self.scenes[0].at, self.scenes[-1].at
        return Signal(IncidentKind.LINGERING, "cam", None, began, now, 0.9, Severity.INFO)


def withholding(fails_at: int | None = None) -> Pipeline:
    def build() -> Stages:
        return Stages(SceneTracker(), (Withholding(fails_at),), IncidentBook("site", Incidents()))

    return Pipeline(SceneLooker(ScriptedDetector(lambda t: [])), build)


@pytest.mark.parametrize("change", ["end", "time", "size"])
def test_whatever_ends_an_incident_it_has_told_all_that_was_seen(change: str) -> None:
    pipeline = withholding()
    for each in stamped(0, 1, 2):
        pipeline.process(each)
    after = {
        "end": [],
        "time": stamped(-LEAP, 1 - LEAP),
        "size": [replace(frame(3, (640, 360)), captured_at=START + 3)],
    }[change]
    updates = [u for each in after for u in pipeline.process(each)] or pipeline.finish()
    assert [(u.phase, u.before.ended_at, u.after.ended_at) for u in updates if u.before] == [
        (Phase.END, START, START + 2)
    ]


def test_a_rule_that_failed_is_asked_for_nothing_more_and_what_is_open_ends_all_the_same() -> None:
    pipeline = withholding(fails_at=2)
    first, second, third = stamped(0, 1, 2)
    pipeline.process(first)
    pipeline.process(second)
    with pytest.raises(RuntimeError, match="scripted"):
        pipeline.process(third)
    assert [u.phase for u in pipeline.finish()] == [Phase.END]


def test_a_recording_that_ends_while_somebody_photographs_tells_all_of_that() -> None:
    taking = photographer([Photo(3, 5, 1), Photo(7, 9, 2), Photo(11, 40, 3)])
    end = run(taking, frames(20))[-1]
    assert (end.phase, len(end.after.acts)) == (Phase.END, 3)
    assert end.after.acts[-1].ended_at - START == pytest.approx(20, abs=0.3)
    assert end.after.ended_at - START == pytest.approx(20, abs=0.3)


class Terse:
    """A rule that says as little of what it sees as it may."""

    def observe(self, scene: Scene) -> list[Signal]:
        return [Signal(IncidentKind.TAMPER, "cam", None, scene.at, scene.at, 0.9, Severity.WARNING)]


def test_no_label_is_legible_in_a_picture_whatever_a_rule_thinks_of() -> None:
    rng = np.random.default_rng(1)
    print_on_it = Bgr(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8))
    shown = [replace(each, picture=print_on_it) for each in frames(2)]
    stages = Stages(SceneTracker(), (Terse(),), IncidentBook("site", Incidents()))
    pipeline = Pipeline(SceneLooker(ScriptedDetector(lambda t: [*PARCELS, *LABELS])), lambda: stages)
    new, pictured = next((u, each) for each in shown for u in pipeline.process(each) if u.phase is Phase.NEW)
    assert {*PLACES.values(), *(box for _, box, _, _ in LABELS)} <= set(new.after.private)
    sent = cv2.imdecode(np.frombuffer(snapshot_jpeg(pictured, new), np.uint8), cv2.IMREAD_COLOR)
    scale = sent.shape[1] / SIZE[0]
    rest = sent.std()
    for x1, y1, x2, y2 in PLACES.values():
        parcel = sent[round(y1 * scale) + 2 : round(y2 * scale) - 2, round(x1 * scale) + 2 : round(x2 * scale) - 2]
        assert parcel.std() < rest / 3


def test_people_known_from_before_are_shown_to_the_detector() -> None:
    detector = ScriptedDetector(lambda t: [("person", STANDING, 0.9, {})] if t < 1 else [])
    pipeline = pipeline_of(detector)
    for each in frames(6):
        pipeline.process(each)
    assert detector.people[0] == ()
    assert detector.people[1] == (STANDING,)
    assert detector.people[-1] == (), "forgotten after a while"


def test_pipelines_do_not_share_anything() -> None:
    assert run(SWEEP, frames(18)) == run(SWEEP, frames(18))
    assert frame(0).size == SIZE


# What is shown of it


def test_what_was_seen_in_a_frame_is_told_with_who_is_believed_to_photograph() -> None:
    pipeline = pipeline_of(ScriptedDetector(photographer([Photo(2, 4, 1)])))
    beliefs: dict[float, float] = {}
    for each in frames(8):
        pipeline.process(each)
        sight = pipeline.sight
        assert sight is not None and sight.scene is pipeline.scene
        assert sight.first == (each.captured_at == START)
        assert sight.photographing.keys() == {person.id for person in sight.scene.people}
        beliefs |= {round(each.captured_at - START, 1): belief for belief in sight.photographing.values()}
    assert beliefs[1.8] == 0.0 and beliefs[3.6] > 0.9 and beliefs[7.8] == 0.0


def test_what_was_left_out_was_not_seen_and_what_begins_anew_says_so() -> None:
    pipeline = pipeline_of(ScriptedDetector(SWEEP))
    told = []
    for at in (0.0, 0.2, 0.1, 0.4, 1000.0, 1000.2, 1000.4):
        pipeline.process(replace(frame(START + at), camera="cam"))
        told.append(None if pipeline.sight is None else pipeline.sight.first)
    assert told == [True, False, None, False, None, True, False]
    pipeline.process(frame(START + 1000.6, (640, 480)))
    assert pipeline.sight is not None and pipeline.sight.first
