"""How well acts are told: look by look, and act by act over held-out clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from acts.looked import LEAST_IOU, USES, Clip
from detector.config import PhotoRule
from detector.geometry import as_array, iou
from detector.rules.acts import MISSED
from detector.rules.evidence import Weighing
from detector.values import Act, ActKind, Scene

Recogniser = Callable[[], Callable[[Scene], Sequence[Act]]]
LEAST_OVERLAP = 0.5  # of a true act's span: an act that covers less of it isn't that one


def macro_f1(truth: Sequence[int], told: Sequence[int], count: int) -> float:
    """Mean F1 over the kinds that occur; what is told beyond `count` is wrong whatever it is."""
    scores = []
    for kind in range(count):
        true, said = np.asarray(truth) == kind, np.asarray(told) == kind
        if true.any():
            scores.append(2 * (true & said).sum() / (true.sum() + said.sum()))
    return float(np.mean(scores)) if scores else float("nan")


def enough_for_photo(weighing: Weighing) -> float:
    """Margin of a look from which on a photo is told if it goes on: weak ones never are (`intraclass`)."""
    return log((1 - MISSED) / PhotoRule().error) * weighing.intraclass


def confusion(truth: Sequence[int], told: Sequence[int], rows: int, columns: int) -> list[list[int]]:
    """Counts: true kind by row, told kind by column."""
    table = np.zeros((rows, columns), int)
    np.add.at(table, (np.asarray(truth, int), np.asarray(told, int)), 1)
    return table.tolist()


@dataclass(frozen=True)
class Told:
    """An act as last told, and who of the truth it is of (`None`: nobody known)."""

    act: Act
    who: int | None


def acts_of(clip: Clip, recogniser: Recogniser) -> list[Told]:
    """The acts that a recogniser tells of a clip, each as last told."""
    observe = recogniser()
    acts: dict[tuple[int, ActKind, float], Act] = {}
    boxes: dict[int, Counter[int]] = {}
    frames = clip.truth["frames"]
    times = np.array([frame["t"] for frame in frames])
    tracks: set[int] = set()
    for scene in clip.scenes:
        for act in observe(scene):
            acts[act.track, act.kind, act.started_at] = act
        tracks |= {person.id for person in scene.people}
        people = [person for person in frames[int(np.abs(times - scene.at).argmin())]["people"] if person["bbox"]]
        overlap = iou(as_array([p.box for p in scene.people]), as_array([tuple(p["bbox"]) for p in people]))
        for k, person in enumerate(scene.people):
            if people and overlap[k].max() >= LEAST_IOU:
                boxes.setdefault(person.id, Counter())[people[int(overlap[k].argmax())]["id"]] += 1
    last = clip.scenes[-1]
    for act in observe(Scene(last.camera, last.at + 60.0, last.size, ended=frozenset(tracks))):
        acts[act.track, act.kind, act.started_at] = act
    return [
        Told(act, boxes[act.track].most_common(1)[0][0] if act.track in boxes else None)
        for act in sorted(acts.values(), key=lambda act: act.started_at)
    ]


@dataclass
class Tally:
    """Acts of one kind over clips: true ones, those told, and pairs of the two; and the time watched."""

    true: int = 0
    told: int = 0
    paired: int = 0
    false_in_ordinary: int = 0
    ordinary_s: float = 0.0

    def figures(self) -> dict[str, float | int]:
        """As they stand in the card."""
        minutes = self.ordinary_s / 60
        return {
            "true": self.true,
            "told": self.told,
            "paired": self.paired,
            "ordinary_minutes": round(minutes, 2),
            "false_in_ordinary": self.false_in_ordinary,
        }


def tally(clips: Iterable[Clip], recogniser: Recogniser, kind: ActKind = ActKind.PHOTO) -> Tally:
    """Acts of a kind told against those of the truth, one to one; a clip without a photo is ordinary.

    False there is what no true act is paired with: nothing is, of photos, but who scans in an ordinary clip does scan.
    """
    sums = Tally()
    for clip in clips:
        events = [e for e in clip.truth["events"] if USES.get(e["act"]) == kind.value]
        told = [t for t in acts_of(clip, recogniser) if t.act.kind is kind]
        sums.true += len(events)
        sums.told += len(told)
        sums.paired += (pairs := paired(told, events))
        if not any(USES.get(e["act"]) == "photo" for e in clip.truth["events"]):
            sums.false_in_ordinary += len(told) - pairs
            sums.ordinary_s += clip.scenes[-1].at - clip.scenes[0].at
    return sums


def paired(told: Sequence[Told], events: Sequence[dict]) -> int:
    """How many acts are a true act's own: same person, at least half of its span, greedily by overlap."""
    pairs = sorted(
        (
            (min(t.act.ended_at, e["t1"]) - max(t.act.started_at, e["t0"])) / max(e["t1"] - e["t0"], 1e-6),
            k,
            n,
        )
        for k, t in enumerate(told)
        for n, e in enumerate(events)
        if t.who == e["person"]
    )
    used_acts: set[int] = set()
    used_events: set[int] = set()
    for share, k, n in reversed(pairs):
        if share >= LEAST_OVERLAP and k not in used_acts and n not in used_events:
            used_acts.add(k)
            used_events.add(n)
    return len(used_events)
