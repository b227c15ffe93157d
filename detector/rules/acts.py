"""What a person does with the device in the hand: scenes enter, acts that were confirmed or have ended leave.

Each look at a person gives one reading: *photo*, *scan*, *call*, *browse*, *unclear*, or nothing seen. A photo is a
phone that looks as if it photographed, and whose holder does too, not at an ear, on a line from the head to a parcel,
held by someone whose feet stand still. Readings of a kind add up in seconds; enough of them confirm the act. It ends
when other readings contradict it for a while, when nothing was read for a while, or when the feet have moved on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from detector.config import PhotoRule
from detector.geometry import centre, contains, distance, foot, grown, head, ray_enters
from detector.rules.memory import TrackMemory
from detector.values import Act, ActKind, Box, Device, Facing, Parcel, Person, Scene

# Lengths are in heights of the person standing, so that they mean the same near and far.
WALKING = 0.35  # speed of the feet a second, above which nobody photographs
MOVED_ON = 0.35  # the feet this far from where the act began: it is another act
REACH = 0.9  # how far beyond the phone, in the picture, a parcel may lie and still be its target
CONTRADICTED_S = 0.5  # readings of another kind for this long end an act
RESUMED_S = 2.5  # the same parcel again within this, from the same place: the same act, lost from sight for a moment
LONGEST_LOOK_S = 0.5  # one look never counts for more than this, whatever was missed since the one before


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look says of one person: an act, how sure (0..1), and the parcel aimed at."""

    kind: ActKind
    score: float
    parcel: int | None = None


@dataclass(frozen=True, slots=True)
class Spell:
    """An act going on, or suspected: `evidence_s` and `against_s` are seconds of readings for and against it."""

    kind: ActKind
    started_at: float
    last_at: float
    feet: tuple[float, float]
    evidence_s: float = 0.0
    against_s: float = 0.0
    score: float = 0.0
    votes: tuple[int, ...] = ()
    confirmed: bool = False

    @property
    def target(self) -> int | None:
        """The parcel most looks aimed at."""
        return max(set(self.votes), key=self.votes.count) if self.votes else None

    def act(self, track: int) -> Act:
        """As it is told."""
        target = self.target
        parcels = () if target is None else (target,)
        return Act(self.kind, track, self.started_at, self.last_at, self.score, parcels)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one person."""

    looked_at: float | None = None
    height: float = 0.0
    feet: tuple[float, float] = (0.0, 0.0)
    speed: float = 0.0
    spell: Spell | None = None
    past: Spell | None = None


class ActRecogniser:
    """Acts of the people of one camera."""

    def __init__(self, settings: PhotoRule) -> None:
        self._settings = settings
        self._memory: TrackMemory[Memory] = TrackMemory(Memory)

    def observe(self, scene: Scene) -> list[Act]:
        """Acts confirmed in this scene and acts that ended in it.

        An act is told twice, confirmed and ended, with the same track, kind and start.
        """
        told: list[Act] = []
        for person in scene.people:
            before = placed(self._memory[person.id], person, scene.at)
            reading = read(person, scene.devices, scene.parcels, before.speed)
            after, spells = step(before, reading, scene.at, self._settings)
            self._memory[person.id] = after
            told += [spell.act(person.id) for spell in spells]
        for track, memory in self._memory.drop(scene.ended):
            if memory.spell and memory.spell.confirmed:
                told.append(memory.spell.act(track))
        return told


def placed(memory: Memory, person: Person, at: float) -> Memory:
    """The memory with height, place and speed of the person brought up to frame time `at`.

    The standing height is the largest seen, forgotten slowly, so that a crouch doesn't shorten the measure. Speed is
    in heights a second, smoothed over half a second.
    """
    feet = foot(person.box)
    height = max(person.box[3] - person.box[1], 0.995 * memory.height, 1.0)
    if memory.looked_at is None or at - memory.looked_at > 2.0:
        return replace(memory, height=height, feet=feet, speed=0.0)
    elapsed = max(at - memory.looked_at, 1e-3)
    now = distance(feet, memory.feet) / height / elapsed
    speed = memory.speed + min(1.0, elapsed / 0.5) * (now - memory.speed)
    return replace(memory, height=height, feet=feet, speed=speed)


def read(person: Person, devices: Sequence[Device], parcels: Sequence[Parcel], speed: float) -> Reading | None:
    """One look at a person: what the surest device in the hand is used for; `None` when none is seen.

    Args:
        person: The person.
        devices: Every device of the scene.
        parcels: Every parcel slot of the scene.
        speed: Of the person's feet, heights a second.
    """
    held = [device for device in devices if device.holder == person.id]
    if not held:
        return None
    device = max(held, key=lambda d: d.score)
    target = aimed_at(person.box, device.box, parcels)
    if device.label == "scanner":
        return Reading(ActKind.SCAN, device.score, target.id if target else None)
    photo, call = opinion(device, person)
    if call > max(photo, 0.4) or at_ear(person.box, device.box):
        return Reading(ActKind.CALL, max(call, 0.5))
    if speed > WALKING:
        return Reading(ActKind.UNCLEAR, device.score)
    if photo >= 0.5 and target is not None:
        return Reading(ActKind.PHOTO, photo, target.id)
    if photo < 0.35:
        return Reading(ActKind.BROWSE, 1 - photo)
    return Reading(ActKind.UNCLEAR, photo)


def opinion(phone: Device, holder: Person) -> tuple[float, float]:
    """How much a phone looks like photographing and like calling, 0..1 each.

    The mean of what the phone shows and what its holder does: each alone is more often wrong (`models/README.md`).
    """
    if holder.acts is None:
        return phone.photo, phone.call
    return (phone.photo + holder.acts.photo) / 2, (phone.call + holder.acts.call) / 2


def at_ear(person: Box, phone: Box) -> bool:
    """Whether a phone is beside the head of an upright person: in the top sixth of the box, near its middle."""
    width, height = person[2] - person[0], person[3] - person[1]
    if height < 1.6 * width:  # bent or crouched: the head may be anywhere in the box
        return False
    x, y = centre(phone)
    return y < person[1] + 0.17 * height and abs(x - head(person)[0]) < 0.2 * height


def aimed_at(person: Box, phone: Box, parcels: Sequence[Parcel]) -> Parcel | None:
    """The nearest parcel on the line from a person's head through the phone, as the picture shows it.

    Only a parcel that may show a label counts: one whose top was judged to bear none is no target. Boxes are taken
    larger by a fifth, since the head is only about where it is thought to be.
    """
    best: tuple[float, Parcel] | None = None
    origin, through = head(person), centre(phone)
    reach = REACH * (person[3] - person[1])
    for parcel in parcels:
        box = grown(parcel.box, 0.2)
        if parcel.facing is Facing.NOT_UP or contains(box, origin):
            continue
        along = ray_enters(origin, through, box)
        if along is not None and along <= reach and (best is None or along < best[0]):
            best = (along, parcel)
    return best[1] if best else None


def step(memory: Memory, reading: Reading | None, at: float, settings: PhotoRule) -> tuple[Memory, list[Spell]]:
    """One look at frame time `at`: the next memory, and spells to tell now (confirmed or ended)."""
    look_s = min(at - memory.looked_at, LONGEST_LOOK_S) if memory.looked_at is not None else 0.0
    memory = replace(memory, looked_at=at)
    told: list[Spell] = []
    spell = memory.spell
    if spell is not None:
        lost = at - spell.last_at > settings.gap_s and not takes_up(spell, reading)
        spell = spell if lost else weighed(spell, reading, look_s, at)
        gone = distance(memory.feet, spell.feet) > MOVED_ON * memory.height
        if lost or gone or spell.against_s >= CONTRADICTED_S:
            if spell.confirmed:
                told.append(spell)
                memory = replace(memory, past=spell)
            spell = None
        elif spell.evidence_s >= settings.least_s and not spell.confirmed:
            spell = replace(spell, confirmed=True)
            told.append(spell)
    if spell is None and reading is not None and reading.kind is not ActKind.UNCLEAR:
        spell = begun(memory, reading, at)
    return replace(memory, spell=spell), told


def takes_up(spell: Spell, reading: Reading | None) -> bool:
    """Whether somebody who was hidden goes on with the same act at the same parcel, rather than with the next one."""
    return reading is not None and reading.kind is spell.kind and reading.parcel == spell.target


def weighed(spell: Spell, reading: Reading | None, look_s: float, at: float) -> Spell:
    """The spell after one more look, `look_s` seconds since the one before; nothing seen says nothing."""
    if reading is None:
        return spell
    if reading.kind is not spell.kind:
        return replace(spell, against_s=spell.against_s + look_s)
    return replace(
        spell,
        last_at=at,
        evidence_s=spell.evidence_s + look_s,
        against_s=max(0.0, spell.against_s - look_s),
        score=max(spell.score, reading.score),
        votes=spell.votes if reading.parcel is None else (*spell.votes[-50:], reading.parcel),
    )


def begun(memory: Memory, reading: Reading, at: float) -> Spell:
    """A new spell, or the past one taken up again when it was the same act lost from sight."""
    past = memory.past
    if (
        past is not None
        and past.kind is reading.kind
        and past.target == reading.parcel
        and at - past.last_at <= RESUMED_S
        and distance(memory.feet, past.feet) <= MOVED_ON * memory.height
    ):
        return replace(past, last_at=at, against_s=0.0)
    votes = () if reading.parcel is None else (reading.parcel,)
    return Spell(reading.kind, at, at, memory.feet, score=reading.score, votes=votes)
