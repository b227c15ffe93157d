"""What people do: from an act and a place to a pose and the things in their hands.

Every function returns an `Act`, whose pose the body already has. A thing in the hand is placed first, rigidly; the
hand goes to it by inverse kinematics.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import numpy as np

from scenes.body import SIDES, Body, Hand, Pose, Swing
from scenes.chance import beside
from scenes.holds import FLAT_OBJECTS, GRIPS, ROUND_OBJECTS, Hold, grip_above, grip_flat, grip_pistol, grip_wrap
from scenes.motion import stride
from scenes.truth import exposed
from scenes.vectors import UP, across, turn, unit, yaw_to

OTHER = {"l": "r", "r": "l"}
LOW = ("crouch", "kneel", "sit")
# What of a body may be before a lens: from which joint to which, and how thick it is there, clothes included, metres.
LIMBS = (("thigh", "calf", 0.095), ("calf", "foot", 0.07), ("upperarm", "lowerarm", 0.06), ("lowerarm", "hand", 0.05))
# Where else to hold a phone that doesn't see the label: metres to the right, up and ahead, the nearest first.
SIDEWAYS, UPWARDS, AHEAD = (0.0, 0.09, -0.09, 0.18, -0.18, 0.27, -0.27), (0.0, 0.1, 0.2, 0.32), (0.0, 0.12, -0.1)
SHIFTS = sorted(product(SIDEWAYS, UPWARDS, AHEAD), key=lambda shift: np.hypot.reduce(shift))[1:]
IsHidden = Callable[[np.ndarray, np.ndarray], bool]  # whether anything lies between a lens and a point


@dataclass
class Act:
    """A pose with what is held.

    Attributes:
        name: What the person does, with the posture (`photo_bend`, `walk` …).
        pose: The pose.
        holds: Things in the hands.
        holding: Sides of the hands on the first of them.
        use: Of the phone or scanner: photo, scan, call or text; None where it is merely held.
        carried: Of who carries a parcel: (foot point, yaw, size).
        seat: Height of something to sit on at the person's place, metres.
    """

    name: str
    pose: Pose
    holds: list[Hold] = field(default_factory=list)
    holding: tuple[str, ...] = ()
    use: str | None = None
    carried: tuple | None = None
    seat: float | None = None


def heading(yaw: float):
    """Unit vectors forwards and to the right of someone with that yaw."""
    frame = turn([0, 0, 1], yaw)
    return frame @ [0, -1.0, 0], frame @ [-1.0, 0, 0]


def stance(body: Body, kind: str, position, yaw: float, rng: random.Random) -> Pose:
    """Legs and trunk of a posture: stand, lean, stoop, bend, crouch, kneel or sit."""
    x, y = position
    ahead, _ = heading(yaw)
    hips = body.joint["pelvis"][2]
    pose = Pose((x, y), yaw)
    match kind:
        case "stand":
            pose.spine = (rng.uniform(2, 18), rng.uniform(-3, 3), rng.uniform(-6, 6))
            pose.tilt = rng.uniform(0, 5)
            step = rng.uniform(-0.09, 0.09)
            pose.feet = {"l": (rng.uniform(0, 0.06), step, 0), "r": (-rng.uniform(0, 0.06), -step, 0)}
        case "lean":  # weight on one leg, the other crossed over
            pose.spine, pose.tilt = (rng.uniform(0, 10), rng.uniform(-8, 8), rng.uniform(-8, 8)), -rng.uniform(4, 10)
            pose.feet = {"l": (0.0, -0.12, 0), "r": (rng.uniform(-0.02, 0.1), -rng.uniform(0.15, 0.25), 0)}
            pose.hips = hips * 0.965
        case "stoop":
            pose.spine, pose.tilt = (rng.uniform(16, 32), rng.uniform(-3, 3), rng.uniform(-8, 8)), rng.uniform(6, 14)
            step = rng.uniform(-0.12, 0.12)
            pose.feet = {"l": (0.03, step, 0), "r": (-0.03, -step, 0)}
        case "bend":
            pose.position = (x - ahead[0] * 0.12, y - ahead[1] * 0.12)
            pose.hips, pose.tilt = hips * 0.93, rng.uniform(18, 36)
            pose.spine = (rng.uniform(28, 50), rng.uniform(-4, 4), rng.uniform(-8, 8))
            pose.feet = {"l": (0.03, -0.02, 0), "r": (-0.03, rng.uniform(-0.14, 0.06), 0)}
        case "crouch":
            pose.hips, pose.tilt = hips * rng.uniform(0.34, 0.46), rng.uniform(4, 16)
            pose.spine = (rng.uniform(16, 34), rng.uniform(-4, 4), rng.uniform(-6, 6))
            front, back = ("l", "r") if rng.random() < 0.5 else ("r", "l")
            pose.feet = {front: (SIDES[front] * 0.02, -0.12, 0), back: (SIDES[back] * 0.02, 0.04, 0)}
            pose.foot_pitch = {front: rng.choice([0, 4, 25]), back: 38}
            pose.knees = rng.uniform(0.2, 0.55)
        case "kneel":
            pose.hips, pose.tilt = hips * 0.55, rng.uniform(2, 8)
            pose.spine = (rng.uniform(10, 28), 0, rng.uniform(-6, 6))
            front, back = ("l", "r") if rng.random() < 0.5 else ("r", "l")
            pose.feet = {front: (SIDES[front] * 0.03, -0.3, 0), back: (SIDES[back] * 0.02, 0.38, 0)}
            pose.foot_pitch = {front: 0, back: 60}
        case "sit":
            seat = rng.uniform(0.36, 0.5)
            pose.hips, pose.tilt = seat + 0.1, -rng.uniform(0, 10)
            pose.spine = (rng.uniform(8, 30), 0, rng.uniform(-5, 5))
            wide = rng.uniform(0.02, 0.1)
            pose.feet = {"l": (wide, -rng.uniform(0.34, 0.46), 0), "r": (-wide, -rng.uniform(0.34, 0.46), 0)}
            pose.knees = rng.uniform(0.1, 0.35)
        case _:
            raise ValueError(f"posture {kind!r}")
    return pose


def shoulders(body: Body) -> np.ndarray:
    """The point between the shoulders."""
    return 0.5 * (body.places["upperarm_l"] + body.places["upperarm_r"])


def within_reach(body: Body, point, yaw: float, nearest: float = 0.27, furthest: float = 0.5) -> np.ndarray:
    """The point moved to where the hands can comfortably be: in front of the chest, at an arm's bend."""
    start, (ahead, _) = shoulders(body), heading(yaw)
    way = np.asarray(point, float) - start
    way += ahead * max(0.0, 0.16 - np.dot(way, ahead))
    length = np.linalg.norm(way)
    return start + way / length * np.clip(length, nearest, furthest)


def read_from(body: Body, ahead, yaw: float, drop: float, reach: float) -> np.ndarray:
    """Where a phone is held to be read, metres below and ahead of the shoulders: from chest to belly."""
    return within_reach(body, shoulders(body) + ahead * reach - UP * drop, yaw, nearest=0.22)


def free_hand(body: Body, pose: Pose, side: str, posture: str, rng: random.Random) -> None:
    """Something for a hand that has nothing to do: hang, rest on the knee, lean on the thigh."""
    ahead, right = heading(pose.yaw)
    out = right if side == "r" else -right
    low = posture in ("crouch", "sit", "kneel")
    if low and rng.random() < 0.75:
        knee, hip = body.places[f"calf_{side}"], body.places[f"thigh_{side}"]
        down = unit(knee - hip)
        pose.hands[side] = Hand(knee - down * 0.17 + UP * 0.085, -UP, across(down + ahead * 0.4, UP))
        pose.curls[side] = GRIPS["flat"]
    elif posture == "bend" and rng.random() < 0.5:
        knee, hip = body.places[f"calf_{side}"], body.places[f"thigh_{side}"]
        on = knee * 0.75 + hip * 0.25 + ahead * 0.075 + out * 0.02
        pose.hands[side] = Hand(on + UP * 0.08, -ahead, unit(knee - hip))
        pose.curls[side] = GRIPS["flat"]
    else:
        pose.hands[side] = Swing(rng.uniform(-8, 22), rng.uniform(8, 45), rng.uniform(6, 14))


def grasp(body: Body, pose: Pose, hold: Hold, grips: dict) -> None:
    """Take a held thing: each side's grip is a function of the `Hold`; what is out of reach is pulled nearer."""
    for _ in range(3):
        pose.hands |= {side: grip(hold) for side, grip in grips.items()}
        body.pose(pose)
        short = [body.places[f"hand_{side}"] - pose.hands[side].wrist for side in grips]
        worst = max(short, key=np.linalg.norm)
        if np.linalg.norm(worst) < 0.006:
            return
        hold.centre = hold.centre + worst


def own_limb_between(body: Body, lens, point, holding: tuple[str, ...]) -> bool:
    """Whether a leg or arm of the body is on the way from a lens to a point; the arms that are `holding` it are not."""
    way = np.asarray(lens, float) + np.linspace(0.0, 1.0, 40)[:, None] * (np.asarray(point, float) - lens)
    for start, end, thick in LIMBS:
        for side in SIDES:
            if side in holding and end in ("lowerarm", "hand"):
                continue
            joint, bone = body.places[f"{start}_{side}"], body.places[f"{end}_{side}"] - body.places[f"{start}_{side}"]
            along = np.clip((way - joint) @ bone / (bone @ bone), 0, 1)
            if np.linalg.norm(way - joint - along[:, None] * bone, axis=1).min() < thick:
                return True
    return False


def photo(
    body: Body,
    position,
    label,
    rng: random.Random,
    posture: str,
    is_hidden: IsHidden = lambda lens, point: False,
) -> Act:
    """Photograph a label: the back of the phone looks at it.

    One- or two-handed, upright or across, from 0.2 m or as near as the arms get, or by half of those who stand from
    where readers hold it; mostly watching the screen. Where a limb of their own or something else (`is_hidden`) is
    before the label, the phone is held elsewhere, if that helps.
    """
    target = label.centre
    yaw = yaw_to(position, target) + rng.uniform(-12, 12)
    pose = stance(body, posture, position, yaw, rng)
    body.pose(pose)
    start = shoulders(body)
    away = unit(0.62 * unit(start + UP * 0.12 - target) + rng.uniform(0.1, 0.6) * label.normal)
    centre = within_reach(body, target + away * rng.uniform(0.2, 0.6), yaw)
    ahead, right = heading(yaw)
    own = beside(rng)
    if posture == "stand" and own.random() < 0.5:
        centre = read_from(body, ahead, yaw, own.uniform(0.04, 0.44), own.uniform(0.2, 0.42))
    two, landscape, main = rng.random() < 0.45, rng.random() < 0.33, rng.choice("rrrl")
    if not two:
        centre = centre + right * (0.06 if main == "r" else -0.06)
    back = turn([*rng.choices([-1, 1], k=2), 0.5], rng.gauss(0, 4)) @ unit(target - centre)
    up = turn(back, rng.gauss(0, 8)) @ across(UP + ahead * 0.9, back)
    hold = Hold("phone", centre, up, back)
    act, grips = hold_phone(body, pose, hold, main, two, landscape, posture, rng, "photo")

    def is_seen() -> bool:
        def hides(lens, point) -> bool:
            return own_limb_between(body, lens, point, act.holding) or is_hidden(lens, point)

        return bool(exposed(hold.centre, hold.frame, [label.thing], hides))

    first = dataclasses.replace(hold)
    for shift in SHIFTS:
        if is_seen():
            return act
        move_phone(body, act, grips, first, first.centre + np.stack([right, UP, ahead], 1) @ shift, target)
    if not is_seen():
        move_phone(body, act, grips, first, first.centre, target)
    return act


def move_phone(body: Body, act: Act, grips: dict, first: Hold, centre, target) -> None:
    """Hold a phone elsewhere, pointed at the target as it was at `first`; the hands follow, as far as they reach."""
    hold = act.holds[0]
    before, hold.centre = unit(target - first.centre), centre
    for _ in range(2):  # the second time from where the hands got to
        now = unit(target - hold.centre)
        angle = float(np.degrees(np.arccos(np.clip(before @ now, -1, 1))))
        turned = turn(np.cross(before, now), angle) if angle > 0.01 else np.eye(3)
        hold.up, hold.back = turned @ first.up, turned @ first.back
        if act.pose.look is not None:
            act.pose.look = hold.centre - unit(hold.back) * 0.02
        grasp(body, act.pose, hold, grips)


def hold_phone(
    body, pose, hold: Hold, main: str, two: bool, landscape: bool, posture: str, rng, use: str
) -> tuple[Act, dict]:
    """Hands on a phone that is already in place, and how they grip it; `landscape` turns it across."""
    if landscape:
        hold.across = rng.choice([-1, 1])
    grips = {}
    for side in (main, OTHER[main]) if two else (main,):
        low = rng.uniform(0.0, 0.02) if landscape else rng.uniform(0.015, 0.04)
        grips[side] = partial(grip_flat, side=side, low=low, half_width=0.078 if landscape else 0.036)
        pose.curls[side] = GRIPS["across" if landscape else "behind" if two else "phone"]
        out = rng.uniform(0.25, 0.6) * (0.3 if use == "text" else 1.0)  # who reads has the elbows near the body
        pose.elbows[side] = (SIDES[side] * out, 0.3, -0.85)
    if not two:
        free_hand(body, pose, OTHER[main], posture, rng)
    elsewhere = None if rng.random() < 0.88 else (rng.uniform(-45, 45), rng.uniform(-5, 15))
    if use == "text":  # who doesn't look at it doesn't read it; eyes look lower than the face does
        pose.look = hold.centre + UP * 0.18
    elif elsewhere is None:
        pose.look = hold.centre - unit(hold.back) * 0.02
    else:  # photographs as if doing something else
        pose.head = elsewhere
    grasp(body, pose, hold, grips)
    return Act(f"{use}_{posture}", pose, [hold], tuple(grips), use, seat=seat_of(pose, posture)), grips


def browse(body: Body, position, yaw: float, rng: random.Random, posture: str) -> Act:
    """Read or type on a phone, from belly to chest: its screen faces the eyes, the head is bent."""
    pose = stance(body, posture, position, yaw, rng)
    body.pose(pose)
    ahead, right = heading(yaw)
    eyes = body.eye_point()
    drop, reach = rng.uniform(0.08, 0.44), rng.uniform(0.17, 0.32)
    if posture in LOW:  # above the knees
        drop *= 0.6
    centre = read_from(body, ahead, yaw, drop, reach)
    two, landscape, main = rng.random() < 0.4, rng.random() < 0.18, rng.choice("rrl")
    if not two:
        centre = centre + right * (0.05 if main == "r" else -0.05)
    back = turn(right, rng.gauss(0, 9)) @ -unit(eyes - centre)
    up = across(UP + ahead, back)
    hold = Hold("phone", centre, up, back)
    return hold_phone(body, pose, hold, main, two, landscape, posture, rng, "text")[0]


def call(body: Body, position, yaw: float, rng: random.Random, posture: str) -> Act:
    """Phone at the left or right ear."""
    pose = stance(body, posture, position, yaw, rng)
    pose.head = (rng.uniform(-30, 30), rng.uniform(-5, 20))
    body.pose(pose)
    side = rng.choice("lr")
    sign, skull = SIDES[side], body.turns["head"]
    out = skull @ [sign, 0, 0]
    centre = body.with_head(body.ears[side]) + out * 0.02 + skull @ [0, -0.03, -0.035]
    back = unit(out + skull @ [0, -0.25, 0])
    hold = Hold("phone", centre, across(skull @ [0, rng.uniform(0.1, 0.4), 1.0], back), back, lit=rng.random() < 0.4)
    # at the ear the fingers lie on the back, the palm faces the cheek
    fingers = unit(hold.axes[1] * 0.9 + skull @ [0, -0.2, 0])
    pose.hands[side] = Hand(centre + back * 0.026 - fingers * 0.085, across(-back, fingers), fingers)
    pose.curls[side] = GRIPS["phone"]
    pose.elbows[side] = (sign * 0.8, -0.25, -0.6)
    free_hand(body, pose, OTHER[side], posture, rng)
    if rng.random() < 0.25:
        pose.hands[OTHER[side]] = Swing(rng.uniform(20, 40), rng.uniform(60, 100), 8)
    body.pose(pose)
    return Act(f"call_{posture}", pose, [hold], (side,), "call", seat=seat_of(pose, posture))


def scan(body: Body, position, label, rng: random.Random, posture: str) -> Act:
    """Read a label with a scanner: a gun, or a PDA whose upper end points at the label."""
    target = label.centre
    yaw = yaw_to(position, target) + rng.uniform(-12, 12)
    pose = stance(body, posture, position, yaw, rng)
    body.pose(pose)
    side = rng.choice("rrrl")
    start = body.places[f"upperarm_{side}"]
    gap = np.linalg.norm(target - start)
    ahead, _ = heading(yaw)
    way = unit(target - start)
    centre = start + way * np.clip(gap - rng.uniform(0.12, 0.4), 0.3, 0.48)
    centre = centre + ahead * max(0.0, 0.18 - np.dot(centre - start, ahead))
    aim = unit(target - centre)
    if rng.random() < 0.5:
        hold = Hold("gun", centre, across(UP + ahead * 0.6, aim), aim)
        grip, pose.curls[side] = partial(grip_pistol, side=side), GRIPS["pistol"]
        pose.elbows[side] = (SIDES[side] * 0.5, 0.4, -0.75)
    else:
        eyes = body.eye_point()
        up = unit(aim + 0.25 * unit(ahead))
        hold = Hold("pda", centre, up, across(-(eyes - centre), up))
        grip, pose.curls[side] = partial(grip_flat, side=side, low=0.03, thick=0.024), GRIPS["phone"]
        pose.elbows[side] = (SIDES[side] * 0.6, 0.4, -0.7)
    free_hand(body, pose, OTHER[side], posture, rng)
    if rng.random() < 0.35:  # the other hand steadies the parcel
        near = target + across(-ahead, label.normal) * 0.02 + np.cross(UP, aim) * (0.16 if side == "r" else -0.16)
        if np.linalg.norm(near - body.places[f"upperarm_{OTHER[side]}"]) < 0.6:
            pose.hands[OTHER[side]] = Hand(near + label.normal * 0.03 - ahead * 0.08, -label.normal, ahead)
            pose.curls[OTHER[side]] = GRIPS["flat"]
    pose.look = target
    grasp(body, pose, hold, {side: grip})
    return Act(f"scan_{posture}", pose, [hold], (side,), "scan")


def read_object(body: Body, position, yaw: float, rng: random.Random, posture: str) -> Act:
    """Look at something flat in the hand that is no phone: a wallet, a card, a sheet, a clipboard."""
    act = browse(body, position, yaw, rng, posture)
    hold, pose = act.holds[0], act.pose
    hold.kind = rng.choice(FLAT_OBJECTS)
    half_width = {"clipboard": 0.115, "sheet": 0.08, "wallet": 0.047, "card": 0.027, "notebook": 0.05}[hold.kind]
    low = {"clipboard": 0.08, "sheet": 0.05}.get(hold.kind, 0.02)
    hold.across = 0
    holding = act.holding
    pose.curls |= dict.fromkeys(holding, GRIPS["behind"])
    grips = {side: partial(grip_flat, side=side, low=low, half_width=half_width) for side in holding}
    grasp(body, pose, hold, grips)
    if hold.kind in ("clipboard", "notebook") and len(holding) == 1 and rng.random() < 0.6:  # writes on it
        side = OTHER[holding[0]]
        right, up, towards = hold.axes
        out = right if side == "r" else -right
        fingers = unit(-out * 0.6 + up * 0.5 - towards * 0.45)
        pose.hands[side] = Hand(
            hold.centre + towards * 0.045 + out * 0.02 - fingers * 0.12, across(-towards - out * 0.4, fingers), fingers
        )
        pose.curls[side] = GRIPS["wrap"]
    body.pose(pose)
    return Act(f"read_{hold.kind}_{posture}", pose, [hold], seat=act.seat)


def hold_object(body: Body, position, yaw: float, rng: random.Random, posture: str) -> Act:
    """Hold a cup, a bottle, a radio, a roll or a knife in front of the body, at the mouth or at the ear."""
    pose = stance(body, posture, position, yaw, rng)
    body.pose(pose)
    ahead, right = heading(yaw)
    side = rng.choice("rrl")
    out = right if side == "r" else -right
    kind = rng.choice(["cup", "cup", "bottle", "radio", "roll", "knife"])
    where = rng.random()
    eyes = body.eye_point()
    if where < 0.3 and kind in ("cup", "bottle", "radio"):  # drinks, or speaks into the radio
        centre = eyes + ahead * 0.13 - UP * 0.1 + out * 0.03
    else:
        centre = (
            within_reach(body, shoulders(body) + ahead * rng.uniform(0.22, 0.4) - UP * rng.uniform(0.15, 0.35), yaw)
            + out * 0.09
        )
    hold = Hold(kind, centre, turn(right, rng.uniform(-15, 15)) @ UP, ahead)
    if kind in ROUND_OBJECTS:
        grip = partial(grip_wrap, side=side, radius=ROUND_OBJECTS[kind])
    else:
        grip = partial(grip_flat, side=side, half_width=0.026)
    pose.curls[side] = GRIPS["wrap"]
    free_hand(body, pose, OTHER[side], posture, rng)
    pose.head = (rng.uniform(-40, 40), rng.uniform(-5, 20))
    grasp(body, pose, hold, {side: grip})
    return Act(f"hold_{kind}_{posture}", pose, [hold], seat=seat_of(pose, posture))


def tape(body: Body, position, parcel, rng: random.Random, posture: str) -> Act:
    """Tape a parcel with a tape gun, the other hand on the box."""
    top = np.array([*parcel.foot[:2], parcel.top])
    yaw = yaw_to(position, top) + rng.uniform(-8, 8)
    pose = stance(body, posture, position, yaw, rng)
    ahead, right = heading(yaw)
    side = rng.choice("rrl")
    out = right if side == "r" else -right
    along = rng.uniform(-0.1, 0.1)
    centre = top + UP * 0.15 + out * 0.03 + ahead * along
    hold = Hold("tape_gun", centre, across(ahead + UP * 0.3, UP), -UP)
    pose.curls[side] = GRIPS["wrap"]
    on_box = top - out * min(0.16, parcel.size[0] / 2) - ahead * 0.02
    pose.hands[OTHER[side]] = Hand(on_box + UP * 0.03 - ahead * 0.09, -UP, unit(ahead - UP * 0.1))
    pose.curls[OTHER[side]] = GRIPS["flat"]
    pose.look = top
    grasp(body, pose, hold, {side: partial(grip_above, side=side)})
    return Act(f"tape_{posture}", pose, [hold])


def handle(body: Body, position, point, rng: random.Random, posture: str) -> Act:
    """Both empty hands at something: picking up, sorting, straightening."""
    yaw = yaw_to(position, point) + rng.uniform(-10, 10)
    pose = stance(body, posture, position, yaw, rng)
    ahead, right = heading(yaw)
    wide = rng.uniform(0.1, 0.22)
    for side in "lr":
        out = right if side == "r" else -right
        fingers = unit(ahead * 0.8 - UP * 0.5)
        pose.hands[side] = Hand(
            np.asarray(point) + out * wide - fingers * 0.09 + UP * 0.02, across(-out - UP * 0.3, fingers), fingers
        )
        pose.curls[side] = GRIPS["flat"]
    pose.look = np.asarray(point)
    body.pose(pose)
    return Act(f"handle_{posture}", pose)


def rest(body: Body, position, yaw: float, rng: random.Random, posture: str) -> Act:
    """Squat, sit or stand with nothing in the hands, looking about or down."""
    pose = stance(body, posture, position, yaw, rng)
    body.pose(pose)
    for side in "lr":
        free_hand(body, pose, side, posture, rng)
    pose.head = (rng.uniform(-45, 45), rng.uniform(-5, 35))
    body.pose(pose)
    return Act(f"rest_{posture}", pose, seat=seat_of(pose, posture))


def point_at(body: Body, position, target, rng: random.Random) -> Act:
    """Point at something with a finger."""
    yaw = yaw_to(position, target) + rng.uniform(-25, 25)
    pose = stance(body, "stand", position, yaw, rng)
    body.pose(pose)
    side = rng.choice("rl")
    way = unit(np.asarray(target) - body.places[f"upperarm_{side}"])
    pose.hands[side] = Hand(body.places[f"upperarm_{side}"] + way * rng.uniform(0.38, 0.52), across(-UP, way), way)
    pose.curls[side] = GRIPS["point"]
    pose.look = np.asarray(target)
    body.pose(pose)
    return Act("point", pose)


def carry(body: Body, position, yaw: float, size, rng: random.Random) -> Act:
    """Carry a parcel of `size` before the body, standing or walking."""
    ahead, right = heading(yaw)
    centre = np.array([*position, body.height * rng.uniform(0.52, 0.64)]) + ahead * (0.17 + size[1] / 2)
    pose = Pose(tuple(position), yaw, spine=(-3, 0, 0))
    if rng.random() < 0.6:
        stride(body, pose, rng.random())
    fingers = unit(ahead - UP * 0.5)
    for side, out in (("r", right), ("l", -right)):
        pose.hands[side] = Hand(
            centre + out * (size[0] / 2 + 0.02) - fingers * 0.09 - UP * size[2] * 0.2, -out, fingers
        )
        pose.curls[side] = GRIPS["flat"]
    pose.head = (rng.uniform(-10, 10), 12)
    body.pose(pose)
    return Act("carry", pose, carried=(centre - UP * size[2] / 2, yaw, size))


def set_down(body: Body, position, yaw: float, size, rng: random.Random) -> Act:
    """Squat with both hands at the sides of a parcel of `size` that stands on the floor ahead."""
    ahead, right = heading(yaw)
    pose = stance(body, "crouch", position, yaw, rng)
    pose.knees = 0.75
    foot = np.array([*position, 0.001]) + ahead * (0.3 + size[1] / 2)
    fingers = unit(ahead - UP * 0.45)
    for side, out in (("r", right), ("l", -right)):
        at = foot + out * (size[0] / 2 + 0.02) + UP * size[2] * 0.7 - ahead * size[1] * 0.15
        pose.hands[side] = Hand(at - fingers * 0.09, -out, fingers)
        pose.curls[side] = GRIPS["flat"]
    pose.look = foot + UP * size[2]
    body.pose(pose)
    return Act("set_down", pose, carried=(foot, yaw, size))


def walk(body: Body, position, yaw: float, rng: random.Random) -> Act:
    """Walk with empty hands, or with something hanging in one of them."""
    phase = rng.random()
    pose = Pose(tuple(position), yaw, spine=(4, 0, 6 * np.cos(2 * np.pi * phase)))
    stride(body, pose, phase)
    pose.head = (rng.uniform(-20, 20), rng.uniform(-3, 18))
    body.pose(pose)
    act = Act("walk", pose)
    if rng.random() < 0.4:
        act.holds = [dangling(body, rng.choice("lr"), rng)]
        pose.curls = dict.fromkeys("lr", GRIPS["phone"])
        body.pose(pose)
    return act


def dangling(body: Body, side: str, rng: random.Random) -> Hold:
    """Something held at the end of a hanging arm, lying in the palm."""
    kind = rng.choice(["phone", "phone", "pda", "roll", "wallet", "sheet", "bottle", "knife"])
    return in_palm(body, side, kind, lit=rng.random() < 0.3)


def in_palm(body: Body, side: str, kind: str, tilt: float = 0.0, *, lit: bool) -> Hold:
    """Something flat that lies in the palm of a hand, its upper end beyond the fingers, or `tilt`ed to the thumb."""
    turned = body.turns[f"hand_{side}"]
    fingers, palm, to_pinky = body.rest_hand(side)
    along = turned @ unit(fingers * np.cos(np.radians(tilt)) - to_pinky * np.sin(np.radians(tilt)))
    inward = turned @ palm
    centre = body.places[f"hand_{side}"] + turned @ fingers * 0.08 + along * 0.015 + inward * 0.03
    return Hold(kind, centre, along, -inward, lit=lit)


def held(body: Body, position, yaw: float, rng: random.Random, posture: str) -> Act:
    """Hold a phone (or a PDA) that isn't used: at the end of a hanging arm, before the belly, on the knee, or raised.

    The eyes are elsewhere.
    """
    pose = stance(body, posture, position, yaw, rng)
    aside = rng.choice([-1, 1]) * rng.uniform(20, 65)
    pose.head = (aside, rng.uniform(-15, 12) - 0.7 * (pose.tilt + pose.spine[0]))  # the neck straightens up a bent back
    body.pose(pose)
    side, kind, lit = rng.choice("rrl"), idle_kind(rng), is_lit(rng)
    low = posture in LOW
    ways = {"hang": 0 if low else 45, "knee": 45 if low else 0, "belly": 30, "both": 12, "raised": 13}
    way = rng.choices(list(ways), ways.values())[0]
    free_hand(body, pose, OTHER[side], posture, rng)
    if way in ("hang", "knee"):
        if way == "hang":
            pose.hands[side] = Swing(rng.uniform(-12, 22), rng.uniform(4, 45), rng.uniform(6, 14))
        else:
            pose.hands[side] = over_knee(body, yaw, side)
        hold = take_along(body, pose, side, kind, rng, lit)
        return Act(f"held_{posture}", pose, [hold], (side,), seat=seat_of(pose, posture))
    ahead, right = heading(yaw)
    out = right if side == "r" else -right
    askew = turn(right, rng.gauss(0, 15)) @ turn(UP, rng.gauss(0, 25))
    if way == "raised":  # beside the chest, as somebody holds it who talks
        place = ahead * rng.uniform(0.2, 0.34) - UP * rng.uniform(0.02, 0.22) + out * rng.uniform(0.1, 0.2)
        back, up = askew @ ahead, UP + ahead * rng.uniform(-0.2, 0.5)
    else:
        place = ahead * rng.uniform(0.16, 0.28) - UP * rng.uniform(0.28, 0.46) * (0.7 if low else 1.0)
        place = place + out * (0.0 if way == "both" else rng.uniform(0.02, 0.12))
        back = askew @ (ahead * rng.uniform(0.2, 1.0) - UP * rng.uniform(0.2, 1.0))
        up = UP + ahead * 0.8 - out * rng.uniform(0.0, 0.8)
    centre = within_reach(body, shoulders(body) + place, yaw, nearest=0.2)
    hold = Hold(kind, centre, across(up, unit(back)), back, lit=lit)
    grips = {}
    for hand in (side, OTHER[side]) if way == "both" else (side,):
        thick = 0.024 if kind == "pda" else 0.009
        grips[hand] = partial(grip_flat, side=hand, low=rng.uniform(0.0, 0.04), thick=thick)
        pose.curls[hand] = GRIPS["behind" if way == "both" else "phone"]
        pose.elbows[hand] = (SIDES[hand] * rng.uniform(0.05, 0.25), 0.3, -0.85)
    grasp(body, pose, hold, grips)
    return Act(f"held_{posture}", pose, [hold], tuple(grips), seat=seat_of(pose, posture))


def held_walking(body: Body, position, yaw: float, rng: random.Random) -> Act:
    """Walk with a phone or a PDA in a hand that swings, or that is half raised."""
    phase, side = rng.random(), rng.choice("rrl")
    pose = Pose(tuple(position), yaw, spine=(4, 0, 6 * np.cos(2 * np.pi * phase)))
    stride(body, pose, phase)
    pose.head = (rng.uniform(-25, 25), rng.uniform(-3, 18))
    swing = pose.hands[side]
    if rng.random() < 0.4:
        pose.hands[side] = Swing(swing.forward * 0.4 + rng.uniform(0, 12), rng.uniform(50, 95), rng.uniform(6, 12))
    hold = take_along(body, pose, side, idle_kind(rng), rng, is_lit(rng))
    return Act("held_walk", pose, [hold], (side,))


def held_carrying(body: Body, position, yaw: float, size, rng: random.Random) -> Act:
    """Carry a parcel of `size`, with a phone between it and a hand."""
    act = carry(body, position, yaw, size, rng)
    foot, pose = act.carried[0], act.pose
    ahead, right = heading(yaw)
    side = rng.choice("rl")
    out, wrist = right if side == "r" else -right, pose.hands[side]
    wrist.wrist = wrist.wrist + out * 0.01
    body.pose(pose)
    beside_it = foot + UP * size[2] / 2 + out * (size[0] / 2 + 0.006)
    centre = beside_it + ahead * rng.uniform(0.0, 0.04) - UP * (size[2] * 0.2 + rng.uniform(-0.03, 0.02))
    up = turn(out, rng.uniform(-25, 60) * SIDES[side]) @ wrist.fingers
    act.holds = [Hold("phone", centre, across(up, out), out * rng.choice([-1, 1]), lit=is_lit(rng))]
    act.name, act.holding = "held_carry", (side,)
    return act


def held_handling(body: Body, position, point, rng: random.Random, posture: str) -> Act:
    """One hand at something, as in `handle`, in the other a phone or a PDA that isn't used."""
    act = handle(body, position, point, rng, posture)
    pose, side = act.pose, rng.choice("rl")
    del pose.curls[side]
    if posture in LOW and rng.random() < 0.6:
        pose.hands[side] = over_knee(body, pose.yaw, side)
    else:
        pose.hands[side] = Swing(rng.uniform(0, 40), rng.uniform(5, 70), rng.uniform(8, 18))
    hold = take_along(body, pose, side, idle_kind(rng), rng, is_lit(rng))
    return Act(f"held_handle_{posture}", pose, [hold], (side,))


def idle_kind(rng: random.Random) -> str:
    """What is merely held: mostly a phone."""
    return "pda" if rng.random() < 0.15 else "phone"


def is_lit(rng: random.Random) -> bool:
    """Whether the screen of something that nobody looks at is on."""
    return rng.random() < 0.4


def over_knee(body: Body, yaw: float, side: str) -> Hand:
    """A hand that hangs over the knee of somebody low, the forearm on the thigh."""
    (ahead, right), knee = heading(yaw), body.places[f"calf_{side}"]
    out = right if side == "r" else -right
    return Hand(knee + UP * 0.09 + ahead * 0.03, -out * 0.6 - UP * 0.5, unit(ahead * 0.8 - UP * 0.6 - out * 0.1))


def take_along(body: Body, pose: Pose, side: str, kind: str, rng: random.Random, lit: bool) -> Hold:
    """Put a phone or PDA into a hand that has its place, and close the hand."""
    pose.curls[side] = GRIPS["phone"]
    body.pose(pose)
    return in_palm(body, side, kind, rng.uniform(-10, 60), lit=lit)


def seat_of(pose: Pose, posture: str) -> float | None:
    """Height of what somebody sits on."""
    return pose.hips - 0.1 if posture == "sit" else None
