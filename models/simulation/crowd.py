"""Who does what where in a simulated storage zone: a random generator enters, plans of visits leave.

A plan is one person's visit: steps that follow each other, each an act at a place for some seconds. `ordinary` draws
from the work that goes on among parcels every day, look-alikes of the offence included; `sweep` draws how labels are
photographed. Places are in pixels of a picture of `SIZE`; lengths in metres are turned into pixels by how tall people
are there, as in a camera that looks down a hall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from detector.geometry import distance
from detector.values import Box

SIZE = (1280, 720)
TALL_M = 1.7
PHONE_M = 0.16  # diagonal of a phone
STRIDE_M = 1.2  # walked a second
FLOOR = (250.0, 690.0)  # top and bottom of the floor in the picture
UP = 0.35  # share of parcels with a label on the top
SIDE = 0.26  # share of photos in rendered training scenes that were of a label on a side

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Step:
    """One act at one place.

    Attributes:
        act: photo, scan, call, browse or none, as the scenes' truth names them, or between (photos).
        seconds: How long.
        feet: Where it ends, pixels; somebody walks when the step before ended elsewhere.
        target: Number of the parcel that it is about.
        crouched: Whether it is done crouching or bent.
        takes: Whether the parcel is gone afterwards.
        hidden: Whether nobody sees the person meanwhile.
    """

    act: str
    seconds: float
    feet: Point
    target: int | None = None
    crouched: bool = False
    takes: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Plan:
    """One visit: what it is called and its steps."""

    name: str
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(step.seconds for step in self.steps)


@dataclass(frozen=True)
class Hall:
    """A zone seen by one camera: how tall people are at its near end (pixels), and its parcels by number.

    `up` says of each parcel whether it has a label on the top.
    """

    tall: float
    parcels: tuple[Box, ...]
    up: tuple[bool, ...]

    def height(self, y: float) -> float:
        """How tall a standing person with feet at `y` is, pixels: a third as tall at the far end of the floor."""
        far, near = FLOOR
        return self.tall * (1 / 3 + 2 / 3 * (y - far) / (near - far))

    def before(self, number: int, rng: Random) -> Point:
        """Where somebody stands who deals with a parcel: beside it, about half a metre away."""
        x1, _, x2, y2 = self.parcels[number]
        metre = self.height(y2) / TALL_M
        side = rng.choice((-1, 1))
        x = (x1 if side < 0 else x2) + side * rng.uniform(0.2, 0.6) * metre
        return min(max(x, 20.0), SIZE[0] - 20.0), min(max(y2 + rng.uniform(-0.1, 0.2) * metre, FLOOR[0]), FLOOR[1])

    def read(self, rng: Random, count: int, *, in_a_row: bool, first: int | None = None) -> list[int]:
        """So many parcels whose labels somebody photographs or scans; fewer where not so many show one.

        Along the rows from the `first` on, or from anywhere, or from all over. Those without a label on the top are
        passed by, but for so many that `SIDE` of all are such.
        """
        number = len(self.parcels)
        start = rng.randrange(number) if first is None else first
        order = [(start + k) % number for k in range(number)] if in_a_row else rng.sample(range(number), number)
        aside = SIDE * UP / ((1 - SIDE) * (1 - UP))
        return [k for k in order if self.up[k] or rng.random() < aside][:count]


def hall(rng: Random, tall: float, rows: int = 4, columns: int = 10, up: float = UP) -> Hall:
    """Parcels of 25 to 50 cm in rows across the floor, this share of them label up; near the camera people are `tall`
    pixels.
    """
    empty, parcels = Hall(tall, (), ()), []
    for row in range(rows):
        y = FLOOR[0] + 40 + (FLOOR[1] - FLOOR[0] - 60) * (row + 0.5) / rows
        metre = empty.height(y) / TALL_M
        step = min(0.75 * metre, (SIZE[0] - 120) / columns)
        left = rng.uniform(60, SIZE[0] - 60 - step * columns) if SIZE[0] - 120 > step * columns else 60
        for column in range(columns):
            width, height = rng.uniform(0.25, 0.5) * metre, rng.uniform(0.2, 0.35) * metre
            x = left + step * column + rng.uniform(-0.05, 0.05) * metre
            parcels.append((x, y - height, x + min(width, 0.92 * step), y))
    return Hall(tall, tuple(parcels), tuple(rng.random() < up for _ in parcels))


def ordinary(rng: Random, place: Hall) -> Plan:
    """One visit of ordinary work."""
    make, _ = zip(*ORDINARY, strict=True)
    return rng.choices(make, [weight for _, weight in ORDINARY])[0](rng, place)


def carrying(rng: Random, place: Hall) -> Plan:
    """Walks in, bends for a parcel, carries it away; a few times."""
    steps = [_enter(rng)]
    for number in rng.sample(range(len(place.parcels)), rng.randint(1, 4)):
        steps.append(Step("none", rng.uniform(1.5, 4), place.before(number, rng), number, rng.random() < 0.6, True))
        steps.append(_enter(rng))
    return Plan("carrying", walked(steps, place))


def scanning(rng: Random, place: Hall) -> Plan:
    """Scans parcels along a row, a second or two each, and takes some along."""
    crouched = rng.random() < 0.4
    scans = [
        Step("scan", rng.uniform(0.6, 2.0), place.before(number, rng), number, crouched, rng.random() < 0.5)
        for number in place.read(rng, rng.randint(4, 25), in_a_row=True)
    ]
    return Plan("scanning", walked([_enter(rng), *scans, _enter(rng)], place))


def packing(rng: Random, place: Hall) -> Plan:
    """Crouches beside parcels and tapes or sorts them with bare hands."""
    number = rng.randrange(len(place.parcels))
    here = place.before(number, rng)
    steps = [_enter(rng), Step("none", rng.uniform(20, 120), here, number, rng.random() < 0.7)]
    return Plan("packing", walked([*steps, _enter(rng)], place))


def sorting(rng: Random, place: Hall, seconds: float) -> Plan:
    """Stays for so long and handles one parcel after another; no visit of ordinary work lasts like that."""
    steps, left = [_enter(rng)], seconds
    while left > 0:
        number = rng.randrange(len(place.parcels))
        step = Step(
            "none", rng.uniform(5, 60), place.before(number, rng), number, rng.random() < 0.5, rng.random() < 0.3
        )
        steps.append(step)
        left -= step.seconds
    return Plan("sorting", walked([*steps, _enter(rng)], place))


def calling(rng: Random, place: Hall) -> Plan:
    """Phones, standing or strolling among the parcels."""
    places = [place.before(rng.randrange(len(place.parcels)), rng) for _ in range(rng.randint(1, 5))]
    steps = [_enter(rng), *(Step("call", rng.uniform(8, 40), here) for here in places)]
    return Plan("calling", walked([*steps, _enter(rng)], place, "call"))


def texting(rng: Random, place: Hall) -> Plan:
    """Reads and types beside parcels, standing or squatting, perhaps at several places."""
    steps = [_enter(rng)]
    for _ in range(rng.choices((1, 2, 3), (0.7, 0.2, 0.1))[0]):
        number = rng.randrange(len(place.parcels))
        steps.append(Step("browse", rng.uniform(10, 90), place.before(number, rng), None, rng.random() < 0.25))
    return Plan("texting", walked([*steps, _enter(rng)], place))


def picking(rng: Random, place: Hall) -> Plan:
    """Picks an order from a list on the phone: looks it up, finds the parcel, takes it, next."""
    steps = [_enter(rng)]
    for number in rng.sample(range(len(place.parcels)), rng.randint(2, 8)):
        here = place.before(number, rng)
        steps += [Step("browse", rng.uniform(2, 7), here), Step("none", rng.uniform(1.5, 4), here, number, True, True)]
    return Plan("picking", walked([*steps, _enter(rng)], place))


def one_photo(rng: Random, place: Hall) -> Plan:
    """Photographs one damaged parcel, once: a note, no sweep."""
    (number,) = place.read(rng, 1, in_a_row=True)
    here = place.before(number, rng)
    steps = [_enter(rng), Step("none", 3, here, number, True), Step("photo", rng.uniform(1.5, 3), here, number)]
    return Plan("one photo", walked([*steps, _enter(rng)], place))


ORDINARY = (
    (carrying, 0.3), (scanning, 0.28), (packing, 0.12), (calling, 0.1), (texting, 0.1), (picking, 0.07),
    (one_photo, 0.03),
)  # fmt: skip
STYLES = ("standing", "crouching", "mixed", "hasty", "scattered", "interrupted")


def sweep(rng: Random, place: Hall, style: str, photos: int | None = None, first: int | None = None) -> Plan:
    """Labels photographed one after another.

    Args:
        rng: Draws.
        place: Where.
        style: One of `STYLES`: standing; crouching; mixed; hasty (a second each); scattered (no row); interrupted
            (the phone goes away in between, something hides the person for a while).
        photos: How many, as far as so many parcels show a label; 4 to 20 when left out.
        first: Number of the parcel that a row begins at, or is passed; anywhere when left out.
    """
    numbers = place.read(rng, photos or rng.randint(4, 20), in_a_row=style != "scattered", first=first)
    here, steps = place.before(numbers[0], rng), [_enter(rng)]
    for k, number in enumerate(numbers):
        if k and (style == "scattered" or rng.random() < 0.6):  # one place serves for two or three parcels
            here = place.before(number, rng)
        crouched = style == "crouching" or (style in ("mixed", "interrupted") and rng.random() < 0.5)
        seconds = rng.uniform(0.9, 1.4) if style == "hasty" else rng.uniform(1.2, 4.0)
        steps.append(Step("photo", seconds, here, number, crouched))
        if style == "interrupted" and rng.random() < 0.4:
            hidden = rng.random() < 0.5
            steps.append(Step("between", rng.uniform(2, 6), here, None, not hidden and crouched, hidden=hidden))
        elif style != "hasty":
            steps.append(Step("between", rng.uniform(0.2, 1.0), here, None, crouched))
    return Plan(f"sweep, {style}", walked([*steps, _enter(rng)], place, "between"))


def walked(steps: Sequence[Step], place: Hall, way: str = "none") -> tuple[Step, ...]:
    """The steps with the walks between their places put in; `way` is what is done while walking."""
    done: list[Step] = []
    for step in steps:
        if done and (apart := distance(done[-1].feet, step.feet)) > 1:
            metres = apart / (place.height((done[-1].feet[1] + step.feet[1]) / 2) / TALL_M)
            done.append(
                replace(step, act=way, seconds=max(metres / STRIDE_M, 0.3), crouched=False, takes=False, target=None)
            )
        done.append(step)
    return tuple(done)


def _enter(rng: Random) -> Step:
    """At an edge of the picture."""
    y = rng.uniform(FLOOR[0] + 40, FLOOR[1])
    return Step("none", 0.4, (rng.choice((10.0, SIZE[0] - 10.0)), y))
