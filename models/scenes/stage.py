"""A frame's people: who does what where, put into a furnished room."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenes import poses, scripts
from scenes.blender import Block, Paint, Studio
from scenes.body import Body
from scenes.chance import beside
from scenes.clothes import VESTS, dressed_person
from scenes.devices import Props, viewfinder
from scenes.parcels import Packer, Parcel
from scenes.room import Room
from scenes.sensor import expose
from scenes.textures import STYLES, Textures, viewfinder_picture
from scenes.truth import LENS_UP, LENS_VIEW, Register, Thing, act_of
from scenes.vectors import UP, yaw_to

GLIMPSE, FINGERS_OFF = (24, 30), 0.05  # pixels of what a phone's camera sees; metres before it that fingers are in
LOW, HIGH = ("crouch", "crouch", "kneel", "bend", "bend", "stand"), ("stand", "stand", "stoop")
LOW_PHOTO = (*LOW, *["stand"] * 4)  # a phone sees from the chest what lies on the floor, a scanner is brought near
HAIR_TINTS = ((0.22, 0.2, 0.2), (0.3, 0.25, 0.22), (0.12, 0.12, 0.13))
HAIR_OWN = (1.0, 0.95, 0.9)  # some textures are dark already


@dataclass
class Person:
    """Somebody in the frame."""

    thing: Thing
    body: Body
    act: poses.Act


class Stage:
    """Puts people with their things into a room, one frame at a time."""

    def __init__(self, studio: Studio, register: Register, textures: Textures, room: Room, assets: Path, camera):
        self._studio, self._register, self._textures = studio, register, textures
        self.room, self._assets, self.camera = room, assets, camera

    def _begin(self, rng: random.Random) -> None:
        """Have what people hold and carry, and the parcels they may aim at, before any of them is there."""
        self._rng = rng
        self._props = Props(self._studio, self._register, self._textures, rng)
        self._packer = Packer(self._studio, self._register, self._textures, rng)
        self.targets = [p for p in self.room.parcels if p.label is not None and self.in_view(p.label.centre)]

    def populate(self, rng: random.Random, focus, count: int, spread: float, often: dict[str, float]) -> list[Person]:
        """Put up to `count` people around `focus` (m), those included who only stand by; fewer where it's full.

        How often they do what is `scripts.ACTS`, but for what `often` says.
        """
        self._begin(rng)
        rng.shuffle(self.targets)
        people: list[Person] = []
        for _ in range(count * 3):
            if len(people) == count:
                break
            act = scripts.act(rng, often)
            near = focus
            if people and rng.random() < 0.35:  # close to somebody else: one covers the other
                near = people[-1].act.pose.position
                spread = 0.8
            person = self._person(act, near, spread)
            if person:
                people.append(person)
        self._open_cameras(people)
        return people

    def _open_cameras(self, people: list[Person]) -> None:
        """Show on the screens of phones that photograph what they see, by now everybody who is there."""
        for person in people:
            if person.act.use == "photo":
                phone = next(t for t in self._register.things.values() if t.facts.get("holder") == person.thing.id)
                hold = person.act.holds[0]
                self.show_viewfinder(phone, hold.frame, hold.centre)

    def show_viewfinder(self, phone: Thing, frame, centre) -> None:
        """Show on a phone's screen what its camera sees from there, with the buttons of one app or another."""
        lens = np.asarray(centre, float) + frame[:, 1] * LENS_UP
        seen = expose(self._studio.glimpse(lens, frame, LENS_VIEW, GLIMPSE, FINGERS_OFF), grey=0.42)
        style = random.Random(f"style {phone.id}").randrange(STYLES)  # ids follow one another by twos and fours
        self._studio.draw(viewfinder(phone), viewfinder_picture((seen * 255).astype(np.uint8), style))

    def in_view(self, point, margin: float = 0.06) -> bool:
        """Whether a world point is in the picture, further than that share of it from its border."""
        (pixel,), (depth,) = self.camera.project(point)
        size = np.array(self.camera.size)
        return bool(depth > 0.5 and (pixel > size * margin).all() and (pixel < size * (1 - margin)).all())

    def _person(self, wanted: str, near, spread: float) -> Person | None:
        body = dressed_person(self._assets, self._rng)
        act, target, parcel = self._act(body, wanted, near, spread)
        if act is None:
            return None
        self.room.floor.take(*act.pose.position, 0.22)
        thing = self._register.add("person", action=act.name)
        thing.facts["act"] = act_of(act.use, target)
        thing.joints = body.keypoints()
        self._build(body, thing)
        self._give(act, thing, parcel)
        return Person(thing, body, act)

    def _act(self, body: Body, wanted: str, near, spread: float):
        """The act with the kind of thing a device points at and the parcel concerned; (None, …) if there's no room."""
        rng = self._rng
        none = None, None, None
        if wanted in ("photo", "scan"):
            found = self._label_spot(near, spread)
            if found is None:
                return none
            parcel, spot = found
            height = parcel.label.centre[2]
            low = LOW_PHOTO if wanted == "photo" else LOW
            posture = rng.choice(low if height < 0.5 else HIGH)
            if wanted == "scan":
                return poses.scan(body, spot, parcel.label, rng, posture), "label", parcel
            return poses.photo(body, spot, parcel.label, rng, posture, self.is_hidden), "label", parcel
        way = rng.choices(list(scripts.HELD), scripts.HELD.values())[0] if wanted == "held" else None
        if wanted in ("tape", "handle") or way == "handle":
            found = self.parcel_spot(near, spread)
            if found is None:
                return none
            parcel, spot = found
            posture = rng.choice(("crouch", "bend", "kneel") if parcel.top < 0.5 else ("stand",))
            if wanted == "tape":
                return poses.tape(body, spot, parcel, rng, posture), None, parcel
            point = np.array([*parcel.foot[:2], parcel.top - 0.03])
            make = poses.held_handling if way else poses.handle
            return make(body, spot, point, rng, posture), None, parcel
        spot = self.free_spot(near, spread)
        if spot is None:
            return none
        yaw = rng.uniform(0, 360)
        if rng.random() < 0.45:  # towards the camera
            yaw = yaw_to(spot, self.camera.position) + rng.gauss(0, 40)
        match wanted:
            case "browse" | "read" | "hold":
                posture = rng.choice(["stand", "stand", "stand", "lean", "sit", "crouch"])
                make = {"browse": poses.browse, "read": poses.read_object, "hold": poses.hold_object}[wanted]
                return make(body, spot, yaw, rng, posture), None, None
            case "call":
                return poses.call(body, spot, yaw, rng, rng.choice(["stand", "stand", "lean", "sit"])), None, None
            case "rest":
                return (
                    poses.rest(body, spot, yaw, rng, rng.choice(["crouch", "crouch", "kneel", "sit", "lean"])),
                    None,
                    None,
                )
            case "point":
                target = rng.choice(self.room.parcels).foot if self.room.parcels else np.array([0, 0, 1.0])
                return poses.point_at(body, spot, target, rng), None, None
            case "carry":
                return poses.carry(body, spot, yaw, load_size(rng), rng), None, None
            case "held" if way == "walk":
                return poses.held_walking(body, spot, yaw, rng), None, None
            case "held" if way == "carry":
                return poses.held_carrying(body, spot, yaw, load_size(rng), rng), None, None
            case "held":
                posture = rng.choice(["stand", "stand", "stand", "lean", "sit", "crouch"])
                return poses.held(body, spot, yaw, rng, posture), None, None
            case _:
                return poses.walk(body, spot, yaw, rng), None, None

    def is_hidden(self, lens, point) -> bool:
        """Whether something lies between a point and a phone's lens; short of the lens, where the fingers are."""
        way = lens - point
        return self._studio.is_hit(point, point + way * max(0.01, 1 - 0.1 / float(np.linalg.norm(way))))

    def _label_spot(self, near, spread: float):
        """A parcel whose label is in view, with a place to stand before it; each parcel once a frame."""
        for k, parcel in enumerate(self.targets):
            label = parcel.label
            if label.centre[2] > 1.7 or np.linalg.norm(label.centre[:2] - np.asarray(near)[:2]) > spread + 2.5:
                continue
            spot = self.spot_by(label.centre, label.normal)
            if spot is not None:
                self.targets.pop(k)
                return parcel, spot
        return None

    def parcel_spot(self, near, spread: float):
        """A low parcel around a spot, with a place to stand by it; or `None`."""
        parcels = [p for p in self.room.parcels if p.top < 1.2 and self.in_view(p.foot)]
        self._rng.shuffle(parcels)
        for parcel in parcels[:20]:
            if np.linalg.norm(parcel.foot[:2] - np.asarray(near)[:2]) < spread + 2.5:
                spot = self.spot_by(parcel.foot, np.array([0, 0, 1.0]))
                if spot is not None:
                    return parcel, spot
        return None

    def spot_by(self, point, normal):
        """Free spot at arm's length of a point on a parcel, before its face if that is a side; or `None`."""
        rng = self._rng
        high = point[2] > 0.5
        for _ in range(24):
            if abs(normal[2]) < 0.5:
                angle = np.arctan2(normal[1], normal[0]) + rng.gauss(0, 0.35)
            else:
                angle = rng.uniform(0, 2 * np.pi)
            distance = rng.uniform(0.5, 0.85) if high else rng.uniform(0.42, 0.75)
            x, y = point[0] + distance * np.cos(angle), point[1] + distance * np.sin(angle)
            if self.room.floor.gap(x, y) > 0.17 and self.in_view((x, y, 1.0), 0.02):
                return x, y
        return None

    def free_spot(self, near, spread: float):
        """Somewhere to stand around a spot; or `None` where it's full."""
        for _ in range(60):
            x, y = near[0] + self._rng.gauss(0, spread), near[1] + self._rng.gauss(0, spread)
            if self.room.floor.gap(x, y) > 0.26 and self.in_view((x, y, 1.0), 0.03):
                return x, y
        return None

    def _build(self, body: Body, thing: Thing) -> list:
        """Meshes and paints of a person; gives the meshes, one a surface of the body."""
        rng, meshes = self._rng, []
        vest, hair = rng.choice(VESTS), rng.choice(HAIR_TINTS)
        dye = (0.5 + rng.choice([0, 0, rng.uniform(-0.5, 0.5)]), rng.uniform(0.3, 1.05), rng.uniform(0.5, 1.3))
        glove = Paint(
            rng.choice([(0.6, 0.6, 0.56), (0.02, 0.02, 0.02), (0.5, 0.3, 0.05), (0.1, 0.15, 0.4), (0.5, 0.1, 0.08)]),
            rough=0.9,
        )
        for surface in body.surfaces:
            files = surface.textures
            match surface.kind:
                case "skin":
                    tone = rng.uniform(0.82, 1.0)
                    paint = Paint((tone, tone * 0.98, tone * 0.96), files.get("colour"), rough=0.5)
                case "hair":
                    dark = files["colour"].stem.startswith(("short01", "short04"))
                    paint = Paint(HAIR_OWN if dark else hair, files["colour"], rough=0.75, holes="texture")
                case "vest":
                    paint = Paint(texture=self._textures.vest(vest), rough=0.8, holes="cut")
                case "glove":
                    paint = glove
                case "eye":
                    paint = Paint((0.25, 0.2, 0.18), rough=0.2)
                case _:
                    is_cloth = surface.kind == "cloth"
                    paint = Paint(
                        texture=files.get("colour"),
                        normal=files.get("normal"),
                        rough=0.88 if is_cloth else 0.6,
                        shade=files.get("ao") if is_cloth else None,
                        hsv=dye if is_cloth else None,
                    )
            vertices = body.skin(surface)
            uv = surface.uv[[i for face in surface.uv_faces for i in face]]
            mesh = self._studio.mesh(
                surface.kind,
                vertices,
                surface.faces,
                paint,
                uv=uv,
                smooth=True,
                index=thing.id,
                cut=surface.cut,
                refine=surface.kind in ("cloth", "glove"),
            )
            meshes.append(mesh)
            thing.surfaces.append((vertices, surface.faces))
        return meshes

    def _give(self, act: poses.Act, thing: Thing, parcel: Parcel | None) -> None:
        """The things in a person's hands, the parcel carried, the seat."""
        rng = self._rng
        screen = "camera" if act.use == "photo" else shown(act.use, rng)
        for hold in act.holds:
            held = self._props.make(hold, thing.id, screen)
            if held.kind in ("phone", "scanner"):
                pointed = act.use in ("photo", "scan") and parcel is not None
                held.facts |= {"target": parcel.thing.id if pointed else None, "use": act.use}
        if act.carried:
            foot, yaw, size = act.carried
            self._packer.put(foot, yaw, face=rng.choice(["-y", "top", "+x", None]), size=size)
        if act.seat:
            tone = rng.choice([(0.3, 0.2, 0.1), (0.05, 0.15, 0.4), (0.5, 0.5, 0.5), (0.6, 0.1, 0.05)])
            back = np.array([*act.pose.position, 0]) - poses.heading(act.pose.yaw)[0] * 0.06
            self._studio.blocks(
                "stool",
                [Block((0.36, 0.34, act.seat), back + UP * act.seat / 2)],
                Paint(tone, rough=0.6),
                bevel=0.01,
            )


def load_size(rng: random.Random) -> tuple[float, float, float]:
    """Of a parcel that somebody carries, metres."""
    return rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.38), rng.uniform(0.15, 0.38)


def shown(use: str | None, rng: random.Random) -> str:
    """What is on the screen of a phone that doesn't photograph."""
    screen, more = rng.choice(["chat", "feed", "feed", "scan"]), beside(rng)
    if use is None:
        return more.choice(["home", "home", "chat", "feed", "video", "photo"])
    # what is read is as bright and as brown as what a camera sees, too
    return more.choice(["shop", "photo", "photo", "video", "night"]) if more.random() < 0.6 else screen
