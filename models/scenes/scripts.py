"""What people do: in a still each one thing, in a clip by a script one step after another."""

from __future__ import annotations

import random
from dataclasses import dataclass

# How often people of a still do what: what concerns phones and scanners most, look-alikes next. `held` is a device in
# the hand that isn't used; it stands last, so that without it (`--often held=0`) all is drawn as before it was known.
ACTS = {
    "photo": 30,
    "scan": 15,
    "browse": 14,
    "call": 9,
    "read": 9,
    "hold": 5,
    "tape": 5,
    "handle": 6,
    "rest": 4,
    "point": 2,
    "carry": 5,
    "walk": 6,
    "held": 20,
}
# What people do who merely hold a device.
HELD = {"stand": 42, "walk": 24, "handle": 22, "carry": 12}
MOVE = 1.4  # seconds that somebody needs from one step to the next, about
# How often `auto` draws which; `idle` came later, and seeds were given out by then.
WEIGHTS = {"sweep": 5, "sweep_two": 2, "scanning": 4, "phones": 4, "work": 3, "mixed": 4, "idle": 0}
SCRIPTS = tuple(WEIGHTS)
CROUCHER, BENDER, STANDER = ("crouch", "crouch", "kneel"), ("bend", "bend", "stoop"), ("stand", "stand", "stoop")


@dataclass(frozen=True)
class Step:
    """One thing that somebody does.

    Attributes:
        act: photo, scan, browse, look (at the phone, before a parcel), held (a device that isn't used), call, read,
            hold, tape, handle, rest, point, stand, leave, carry (a parcel of their own), put (it down), pack (tape it),
            lift (it).
        seconds: How long, without the way there.
        posture: stand, stoop, bend, crouch, kneel or lean; what is high is done standing all the same.
    """

    act: str
    seconds: float
    posture: str = "stand"


def act(rng: random.Random, often: dict[str, float]) -> str:
    """What somebody in a still does, drawn by `ACTS` but for what `often` says."""
    acts = ACTS | often
    return rng.choices(list(acts), acts.values())[0]


def drawn(rng: random.Random) -> str:
    """A script's name at random."""
    return rng.choices(list(WEIGHTS), WEIGHTS.values())[0]


def written(script: str, rng: random.Random, seconds: float) -> list[list[Step]]:
    """The steps of each person, enough for `seconds`; who matters most comes first.

    Raises:
        ValueError: No such script.
    """
    match script:
        case "sweep":
            people = [photographer]
        case "sweep_two":
            people = [photographer, photographer]
        case "scanning":
            people = [scanner] * rng.choice([1, 1, 2])
        case "phones":
            people = [phone_user] * rng.choice([1, 2, 2])
        case "work":
            people = [rng.choice([porter, worker]) for _ in range(rng.choice([1, 2, 2]))]
        case "idle":
            people = [idler] * rng.choice([2, 3])
        case "mixed":
            people = [rng.choice([photographer, photographer, scanner, phone_user])]
            people += [rng.choice([scanner, phone_user, porter, worker]) for _ in range(rng.choice([1, 2]))]
        case _:
            raise ValueError(f"script {script!r}: one of {', '.join(SCRIPTS)} or auto")
    if script not in ("mixed", "work") and rng.random() < 0.4:
        people.append(rng.choice([porter, worker, worker, scanner] if script != "scanning" else [porter, worker]))
    return [role(rng, seconds) for role in people]


def enough(steps: list[Step], seconds: float) -> bool:
    """Whether the steps fill that time, the ways between them included."""
    return sum(step.seconds + MOVE for step in steps) >= seconds


def photographer(rng: random.Random, seconds: float) -> list[Step]:
    """Photographs one parcel after another, 1.5 to 4 s each, then goes or puts the phone to honest use."""
    style = rng.choice([CROUCHER, BENDER, STANDER, CROUCHER + BENDER + STANDER])
    steps = []
    if rng.random() < 0.4:
        steps.append(Step(rng.choice(["browse", "rest", "stand"]), rng.uniform(1, 2.5)))
    until = seconds * rng.uniform(0.6, 1.1)
    while not enough(steps, until):
        steps.append(Step("photo", rng.uniform(1.5, 4), rng.choice(style)))
    while not enough(steps, seconds):
        steps.append(Step(rng.choice(["leave", "browse", "stand"]), rng.uniform(1.5, 4)))
    return steps


def scanner(rng: random.Random, seconds: float) -> list[Step]:
    """Scans one parcel after another, about a second each, now and then turning one over or looking about."""
    style, steps = rng.choice([CROUCHER, BENDER, BENDER, STANDER]), []
    while not enough(steps, seconds):
        steps.append(Step("scan", rng.uniform(0.7, 1.6), rng.choice(style)))
        if rng.random() < 0.2:
            steps.append(Step("handle", rng.uniform(0.8, 1.6), rng.choice(style)))
        elif rng.random() < 0.1:
            steps.append(Step("stand", rng.uniform(0.8, 2)))
    return steps


def phone_user(rng: random.Random, seconds: float) -> list[Step]:
    """Calls, texts, reads on the phone, once with a parcel before the feet; photographs nothing."""
    steps: list[Step] = []
    postures = ("stand", "stand", "stand", "lean", "crouch")
    while not enough(steps, seconds):
        act = rng.choice(["call", "call", "browse", "browse", "stand"])
        posture = rng.choice(postures[:4] if act == "call" else postures)
        steps.append(Step(act, rng.uniform(1, 2) if act == "stand" else rng.uniform(3.5, 8), posture))
    steps.insert(
        rng.randint(0, min(2, len(steps))), Step("look", rng.uniform(1.5, 4.5), rng.choice(("stand", "crouch")))
    )
    return steps


def idler(rng: random.Random, seconds: float) -> list[Step]:
    """Stands about and goes to and fro with a phone in the hand that isn't used."""
    steps: list[Step] = []
    while not enough(steps, seconds):
        posture = rng.choice(("stand", "stand", "stand", "lean", "crouch"))
        steps.append(Step("held", rng.uniform(2, 6), posture))
        if rng.random() < 0.5:
            steps.append(Step("leave", rng.uniform(0.5, 1.5)))
    return steps


def porter(rng: random.Random, seconds: float) -> list[Step]:
    """Carries a parcel, puts it down, tapes it, takes it up again."""
    steps = [Step("carry", rng.uniform(0.3, 0.8))] if rng.random() < 0.7 else [Step("stand", rng.uniform(0.5, 1.5))]
    if steps[0].act == "stand":
        steps.append(Step("lift", 0.5))
        steps.append(Step("carry", rng.uniform(0.3, 1)))
    while not enough(steps, seconds):
        steps.append(Step("put", rng.uniform(0.4, 0.8)))
        if rng.random() < 0.6:
            steps.append(Step("pack", rng.uniform(2, 4.5), rng.choice(("crouch", "kneel"))))
        else:
            steps.append(Step(rng.choice(["stand", "rest", "leave"]), rng.uniform(1, 2.5)))
        steps.append(Step("lift", rng.uniform(0.4, 0.8)))
        steps.append(Step("carry", rng.uniform(0.3, 1)))
    return steps


def worker(rng: random.Random, seconds: float) -> list[Step]:
    """Works without a phone: tapes, sorts, squats, reads a clipboard, drinks."""
    steps: list[Step] = []
    while not enough(steps, seconds):
        act = rng.choice(["tape", "handle", "handle", "rest", "rest", "read", "hold", "point", "leave"])
        if act in ("tape", "handle"):
            steps.append(Step(act, rng.uniform(1.5, 4), rng.choice(CROUCHER + BENDER[:2])))
        elif act == "rest":
            steps.append(Step(act, rng.uniform(2, 6), rng.choice(("crouch", "crouch", "kneel", "lean", "stand"))))
        else:
            steps.append(Step(act, rng.uniform(2, 5), rng.choice(("stand", "stand", "lean"))))
    return steps
