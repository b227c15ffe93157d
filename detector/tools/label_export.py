"""`labelwatch label-export`: judged incidents and walk tests of a hub enter, a training set for the recipes leaves.

    OUT/manifest.jsonl   one line per picture: picture, source, group, licence, split, known, objects, proposal
    OUT/images/          the pictures: frames of clips, labels legible, hence readable by their owner alone

What a person said, the verdict, stands as `act` of the person who acted and `use` of the phone in that hand; of a
false alarm whose act isn't known as `not_act` and `not_use`. Every box is a proposal (`"by": "model"`): the edge's own
where it sent any, the model's elsewhere. So `known` is empty: no class is marked completely until a person has gone
over the picture (`models/by_hand.py`). That changes the line: corrects `objects`, sets `by` to `person`, names in
`known` what is complete. A line that was changed (`proposal` no longer fits it) is kept as it is by every later
export, and so is one whose picture is being gone over (a Labelme file lies beside it); one without objects and known
classes teaches nothing. Lines of split test that name something in `known` judge a model (`models/evaluate.py --own
OUT/manifest.jsonl`).
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from detector.clock import SystemClock, iso
from detector.config import Analysis, HubConfig
from detector.errors import ConfigError, LabelwatchError, Problem, SourceError
from detector.geometry import as_array, as_box, iou
from detector.hub.access.audit import Audit
from detector.hub.edges.known import Known
from detector.hub.footage.training_set import (
    SPLITS,
    WALK_TEST,
    Claim,
    Lesson,
    Moment,
    Sight,
    Wanted,
    clip_file,
    lessons,
    open_store,
)
from detector.hub.storage.stored import Clip
from detector.hub.upkeep.console import at_console
from detector.inference import load_detector
from detector.inference.looker import Detector
from detector.machine.whole_files import alone_in, write_whole
from detector.sources.recording import Recording
from detector.tracking.tracker import holder_of
from detector.values import LABELS, ActKind, Box, Detections, Frame, Person

MANIFEST, IMAGES = "manifest.jsonl", "images"
LICENCE = "own footage"
EVERYONE = 32  # people looked at closely in one picture
QUALITY = 95
# Names of our pictures, and of the drafts that a killed export may leave.
_PICTURE = r"\d{8}T\d{6}\.\d{3}Z_[A-Za-z0-9-]*_[0-9a-f]{8}\.jpg"
_OURS = re.compile(rf"{_PICTURE}|\.{_PICTURE}\.draft")
SAME_FRAME_S = 0.06  # a frame so near to what the edge saw is the one it saw
EARLY_S = 0.02  # half the distance of frames: the nearest one, not the next
SAME_PLACE = 0.4  # overlap of a person with where the edge saw the actor during the same act
SAME_THING = 0.5  # overlap at which two boxes of one label are one thing
USES = (ActKind.CALL.value, ActKind.BROWSE.value, ActKind.PHOTO.value)
DEVICES = ("phone", "scanner")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    Attributes:
        incidents: Used, by verdict; walk tests beside them.
        pictures: In the manifest, by split.
        told: Pictures that say of somebody which act it is, or is not.
        kept: Lines changed by hand that stayed as they are.
        in_hand: Lines whose pictures are being gone over, which stayed so, too.
        left_out: Incidents that were not used, by the reason.
        trouble: What is wrong with clips, a line each.
    """

    incidents: dict[str, int]
    pictures: dict[str, int]
    told: int
    kept: int
    in_hand: int
    left_out: dict[str, int]
    trouble: list[str]

    def lines(self) -> list[str]:
        """For a person."""
        used = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in sorted(self.incidents.items()))
        splits = ", ".join(f"{self.pictures.get(split, 0)} {split}" for split, _ in SPLITS)
        pictures = sum(self.pictures.values())
        lines = [f"incidents used: {sum(self.incidents.values())} ({used})", f"pictures: {pictures} ({splits})"]
        if self.kept:
            lines.append(f"lines changed by hand, kept as they are: {self.kept}")
        if self.in_hand:
            lines.append(
                f"pictures with a Labelme file beside them, kept as they are: {self.in_hand} (models/by_hand.py --take "
                "brings in what it says)"
            )
        if self.told < pictures:
            lines.append(f"pictures in which it can't be told who acted: {pictures - self.told}")
        lines += [f"left out: {count} {reason}" for reason, count in sorted(self.left_out.items())]
        if empty := [split for split, _ in SPLITS if not self.pictures.get(split)]:
            lines.append(
                f"nothing for {', '.join(empty)}: a camera's day stays together, so judge more days or cameras"
            )
        return lines


def export(
    config: HubConfig,
    out: Path,
    *,
    wanted: Wanted,
    per_incident: int = 12,
    model: str = "scene",
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Exported:
    """Write a training set of judged incidents into a folder; equal input gives equal output.

    The manifest is written last, whole or not at all; where anything fails, an earlier one and its pictures stay.

    Args:
        config: Of the hub, on whose machine this runs.
        out: New, empty, or an earlier export, which is brought up to date.
        wanted: Which incidents and walk tests.
        per_incident: Pictures of one incident, at most.
        model: Name or card of the model that proposes boxes.
        force: Write into a folder that holds other things.
        progress: Called with the number of incidents done and of all.

    Raises:
        StoreError: The hub's database isn't there or can't be used.
        ConfigError: The hub was never told of a site.
        ModelError: The model can't be loaded.
        LabelwatchError: The folder can't be used, or there is nothing to learn from.
    """
    earlier, folder = _earlier(out, force), config.data_dir / "clips"
    store = open_store(config)
    try:
        known = Known.of(store.database)
        if unheard := known.unheard(wanted.sites):
            raise ConfigError(
                [
                    Problem("label-export", "--site", f"the hub was never told of {one}", known.hint(one))
                    for one in unheard
                ]
            )
        found, left_out = lessons(store, folder, wanted, timezone=config.timezone, per_incident=per_incident)
        if not found:
            raise LabelwatchError(_nothing(left_out, earlier))
        detector = load_detector(Analysis(model=model, zooms=EVERYONE))
        # Before the first picture: who breaks off has seen what was written until then.
        Audit(store.database).record(
            SystemClock().now(), at_console(), "training_set_exported", str(out.resolve()), n=len(found)
        )
    finally:
        store.close()
    used, trouble = Counter[str](), list[str]()
    with _Folder(out) as writing:
        earlier = _earlier(out, force)  # of now: nobody else changes it any more
        kept = {name: record for name, record in earlier.items() if is_changed(record)}
        in_hand = {name: record for name, record in earlier.items() if name not in kept and writing.is_in_hand(name)}
        records = kept | in_hand
        for n, lesson in enumerate(found):
            taught = False
            for moment, frame in _frames(lesson, folder, trouble):
                taught = True
                name = f"{IMAGES}/{_name(lesson, moment)}"
                if name not in records or not (out / name).exists():
                    writing.write(name, _jpeg(frame))
                if name not in records:
                    records[name] = _record(name, lesson, moment, frame, detector)
            if taught:
                used[lesson.why] += 1
            else:
                left_out["with a clip that can't be used"] += 1
            progress(n + 1, len(found))
        if not used:
            raise LabelwatchError("\n".join([_nothing(left_out, earlier), *trouble]))
        writing.finish(records)
    splits = Counter(record["split"] for record in records.values())
    told = sum(any("act" in thing or "not_act" in thing for thing in r["objects"]) for r in records.values())
    return Exported(dict(used), dict(splits), told, len(kept), len(in_hand), dict(left_out), trouble)


def is_changed(record: Record) -> bool:
    """Whether a line of a manifest says other than was proposed: a person went over it."""
    return bool(record.get("proposal") != _proposal(record["known"], record["objects"]))


def _proposal(known: object, objects: object) -> str:
    return hashlib.sha256(json.dumps([known, objects], sort_keys=True).encode()).hexdigest()[:12]


def _nothing(left_out: Counter[str], earlier: dict[str, Record]) -> str:
    why = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common()) or "none of these sites and times"
    hint = " (judge incidents on the hub's pages first)" if set(left_out) & {"not judged", "judged unclear"} else ""
    stays = "; the earlier export is as it was" if earlier else ""
    return f"there is no incident to learn from: {why}{stays}{hint}"


# What is in a picture


def _record(name: str, lesson: Lesson, moment: Moment, frame: Frame, detector: Detector) -> Record:
    objects = _objects(frame, lesson.claim, moment, detector)
    return {
        "picture": name,
        "source": f"site:{lesson.site}",
        "group": lesson.name,
        "licence": LICENCE,
        "split": lesson.split,
        "known": [],
        "objects": objects,
        "proposal": _proposal([], objects),
    }


def _objects(frame: Frame, claim: Claim, moment: Moment, detector: Detector) -> list[Record]:
    """Boxes proposed for a picture, with what the verdict says of one person among them and the phone in that hand."""
    during = pictured(moment.sight, frame.size) if moment.sight else []
    where = sole_actor(during)
    found = detector.detect(frame, [where] if where else [])
    same_frame = moment.sight is not None and abs(frame.captured_at - moment.sight.at) <= SAME_FRAME_S
    things = joined(during if same_frame else [], found)
    objects: list[Record] = [
        {"label": label, "box": [round(v, 1) for v in box], "by": "model"} for label, box in things
    ]
    actor = actor_among(things, where) if moment.alone else None
    if actor is None:
        return objects
    said = {"act": claim.act} if claim.act else {"not_act": claim.not_act}
    objects[actor] |= said
    phones = [k for k, holder in _holders(things).items() if holder == actor and things[k][0] == "phone"]
    if len(phones) == 1:
        objects[phones[0]] |= {"use": claim.act} if claim.act in USES else {"not_use": ActKind.PHOTO.value}
    return objects


def pictured(sight: Sight, size: tuple[int, int]) -> list[tuple[str, Box]]:
    """What the edge saw, as (label, box) in pixels of a frame of this size (width, height)."""
    width, height = size
    return [
        (what, (x1 * width, y1 * height, x2 * width, y2 * height))
        for what, (x1, y1, x2, y2) in sight.boxes
        if what in LABELS
    ]


def joined(told: list[tuple[str, Box]], found: Detections) -> list[tuple[str, Box]]:
    """What the edge told, and what the model found beside it; a phone and a scanner at one place are one thing."""
    out = list(told)
    for k in range(len(found)):
        label, box = LABELS[found.class_ids[k]], as_box(found.boxes[k])
        alike = DEVICES if label in DEVICES else (label,)
        rivals = as_array([other for name, other in told if name in alike])
        if box[2] > box[0] and box[3] > box[1] and not (iou(as_array([box]), rivals) >= SAME_THING).any():
            out.append((label, box))
    return out


def actor_among(things: list[tuple[str, Box]], where: Box | None) -> int | None:
    """Which thing is the person who acts: the one where the edge saw the actor, or else the only one it can be.

    That is the only person with a phone in the hand, or the only person; `None` where several may be meant.
    """
    people = [k for k, (label, _) in enumerate(things) if label == "person"]
    if where is not None:
        overlaps = {k: float(iou(as_array([where]), as_array([things[k][1]]))[0, 0]) for k in people}
        best = max(people, key=lambda k: overlaps[k], default=None)
        return best if best is not None and overlaps[best] >= SAME_PLACE else None
    holding = {holder for k, holder in _holders(things).items() if things[k][0] == "phone" and holder is not None}
    if holding:
        return holding.pop() if len(holding) == 1 else None
    return people[0] if len(people) == 1 else None


def sole_actor(things: list[tuple[str, Box]]) -> Box | None:
    """Box of the person whom the edge saw acting; `None` where it showed several and can't be asked which."""
    actor = actor_among(things, None)
    return None if actor is None else things[actor][1]


def _holders(things: list[tuple[str, Box]]) -> dict[int, int | None]:
    """By the place of each device among the things: the place of the person in whose hand it is."""
    people = [Person(k, box, 1.0, 0.0, 0.0) for k, (label, box) in enumerate(things) if label == "person"]
    return {k: holder_of(box, people) for k, (label, box) in enumerate(things) if label in DEVICES}


# Frames in, files out


def _frames(lesson: Lesson, folder: Path, trouble: list[str]) -> Iterator[tuple[Moment, Frame]]:
    """The frame of each moment that can be read; what can't is added to `trouble`."""
    what = f"{'walk test' if lesson.why == WALK_TEST else 'incident'} {lesson.name}"
    for clip in sorted({moment.clip for moment in lesson.moments}, key=lambda clip: clip.segment):
        waiting = deque(moment for moment in lesson.moments if moment.clip == clip)
        try:
            recording = Recording(
                clip_file(folder, clip), camera=clip.camera, start_at=clip.started_at, fps=1.0, due=_due(waiting, clip)
            )
        except SourceError as error:
            trouble.append(f"{what}: {error}")
            continue
        try:
            for frame in recording:
                yield waiting.popleft(), frame
                if not waiting:
                    break
        except SourceError as error:
            trouble.append(f"{what}: {error}")
            continue
        finally:
            recording.close()
        if waiting:
            trouble.append(
                f"{what}: {recording.path}: breaks off at {recording.end_s:.1f} s, {len(waiting)} pictures short"
            )


def _due(waiting: deque[Moment], clip: Clip) -> Callable[[float], bool]:
    return lambda offset_s: bool(waiting) and clip.started_at + offset_s >= waiting[0].at - EARLY_S


def _name(lesson: Lesson, moment: Moment) -> str:
    """A file name that tells when and which camera, and that no other moment has."""
    when = re.sub(r"[-:]", "", iso(moment.at))
    camera = re.sub(r"[^A-Za-z0-9-]+", "-", moment.clip.camera)[:40].strip("-")
    words = json.dumps([lesson.site, lesson.edge, lesson.name])
    return f"{when}_{camera}_{hashlib.sha256(words.encode()).hexdigest()[:8]}.jpg"


def _jpeg(frame: Frame) -> bytes:
    fine, data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not fine:
        raise LabelwatchError(f"a frame of camera {frame.camera} can't be encoded")
    return bytes(data)


class _Folder:
    """The folder while it is written, by nobody else: what goes wrong takes the pictures it has brought with it."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._new: list[Path] = []
        self._held = ExitStack()

    def __enter__(self) -> _Folder:
        try:
            self._out.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._out / IMAGES).mkdir(exist_ok=True, mode=0o700)
            self._held.enter_context(alone_in(self._out))
        except BlockingIOError:
            raise LabelwatchError(
                f"{self._out}: another export or models/by_hand.py is at work there (run this again when it is done)"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        with self._held:
            for path in self._new if failed else ():
                path.unlink(missing_ok=True)

    def is_in_hand(self, name: str) -> bool:
        """Whether somebody goes over a picture: what they say of it lies beside it and isn't in the manifest yet."""
        return (self._out / name).with_suffix(".json").exists()

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole, or not at all, for its owner alone."""
        path = self._out / name
        if name != MANIFEST and not path.exists():
            self._new.append(path)
        try:
            write_whole(path, data, mode=0o600, lasting=False)
        except OSError as error:
            raise self._unwritable(error) from error

    def finish(self, records: dict[str, Record]) -> None:
        """Write the manifest; pictures of ours that it doesn't name go."""
        lines = (json.dumps(records[name], ensure_ascii=False) + "\n" for name in sorted(records))
        self.write(MANIFEST, "".join(lines).encode())
        self._new.clear()
        for path in (self._out / IMAGES).iterdir():
            name = f"{IMAGES}/{path.name}"
            if _OURS.fullmatch(path.name) and name not in records and not self.is_in_hand(name):
                path.unlink()

    def _unwritable(self, error: OSError) -> LabelwatchError:
        hint = " (make room and run the command again)" if error.errno == errno.ENOSPC else ""
        stays = "the earlier export is as it was" if (self._out / MANIFEST).exists() else "no manifest was written"
        return LabelwatchError(f"{self._out}: can't be written: {error.strerror}; {stays}{hint}")


def _earlier(out: Path, force: bool) -> dict[str, Record]:
    """Lines of the export that a folder holds, by picture.

    Raises:
        LabelwatchError: It is no folder, holds other things and `force` isn't given, or a manifest that isn't ours.
    """
    try:
        if not out.exists() or not any(out.iterdir()):
            return {}
        path = out / MANIFEST
        if path.exists():
            return {record["picture"]: record for record in _lines(path)}
        if force or _broke_off(out):
            return {}
    except OSError as error:
        raise LabelwatchError(f"{out}: can't be used as a folder: {error.strerror}") from error
    raise LabelwatchError(f"{out}: holds other things (name a new folder, or --force to write beside them)")


def _broke_off(out: Path) -> bool:
    """Whether all that a folder holds is what an export left that was killed before its manifest."""
    inside = {path.name for path in out.iterdir()} - {f".{MANIFEST}.draft"}
    return inside == {IMAGES} and all(_OURS.fullmatch(path.name) for path in (out / IMAGES).iterdir())


def _lines(path: Path) -> Iterator[Record]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            record = json.loads(line)
            fine = re.fullmatch(rf"{IMAGES}/{_PICTURE}", record["picture"]) and isinstance(record["split"], str)
            fine = fine and all(isinstance(thing, dict) for thing in record["objects"])
            is_changed(record)
        except (ValueError, KeyError, TypeError):
            fine = None
        if not fine:
            raise LabelwatchError(f"{path}, line {number}: is no line of an export (mend it, or name another folder)")
        yield record
