"""Who may do what, and where: roles, the rights that each has, and the sites and cameras that a person sees.

Rights are asked for by the pages (`MayLook` and the like in `pages.view`); scope goes into every query, never only into
a template.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, false, or_


class Role(StrEnum):
    """What somebody is to the warehouse."""

    OWNER = "owner"
    ADMIN = "admin"
    REVIEWER = "reviewer"
    VIEWER = "viewer"


class Right(StrEnum):
    """Something that not everybody may do."""

    LOOK = "look"  # feed, incidents, cameras; pictures with labels blurred
    FULL_PIXELS = "full_pixels"  # recordings as the camera made them; each view leaves a line in the audit log
    JUDGE = "judge"  # verdicts, notes, undo
    CASES = "cases"  # put incidents into cases
    EXPORT = "export"  # evidence packs and shareable copies
    CONFIGURE = "configure"  # zones, thresholds, notifications, retention, cameras, edge boxes
    PEOPLE = "people"  # users, their roles, tokens and sessions
    AUDIT = "audit"  # read the audit log


# A reviewer is the guard at the desk; an admin runs the system and sees no labels; the owner may do everything.
RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset({Right.LOOK, Right.CONFIGURE, Right.PEOPLE, Right.AUDIT}),
    Role.REVIEWER: frozenset({Right.LOOK, Right.FULL_PIXELS, Right.JUDGE, Right.CASES, Right.EXPORT}),
    Role.VIEWER: frozenset({Right.LOOK}),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The places somebody sees: `None` is everywhere, otherwise pairs of site and camera, no camera meaning all."""

    places: tuple[tuple[str, str | None], ...] | None = None

    @classmethod
    def of(cls, names: Iterable[str] | None) -> Scope:
        """From `["shanghai", "suzhou/cam3"]`; `None` is everywhere."""
        if names is None:
            return EVERYWHERE
        pairs = (name.partition("/") for name in names)
        return cls(tuple(sorted({(site, camera or None) for site, _, camera in pairs}, key=str)))

    @property
    def names(self) -> list[str] | None:
        """As `of` takes them."""
        if self.places is None:
            return None
        return [site if camera is None else f"{site}/{camera}" for site, camera in self.places]

    @property
    def limits_cameras(self) -> bool:
        """Whether of some site no more than single cameras are in it."""
        return any(camera is not None for _, camera in self.places or ())

    def sees(self, site: str, camera: str | None = None) -> bool:
        """Whether a camera is in it; without one, whether anything of the site is."""
        if self.places is None:
            return True
        return any(
            own_site == site and (camera is None or own_camera in (None, camera))
            for own_site, own_camera in self.places
        )

    def sees_all_of(self, site: str) -> bool:
        """Whether all cameras of a site are in it: what is told of a box as a whole may tell of any that it watches."""
        return self.covers(Scope.of([site]))

    def covers(self, other: Scope) -> bool:
        """Whether all that the other sees is in it."""
        if self.places is None:
            return True
        own = set(self.places)
        return other.places is not None and all(place in own or (place[0], None) in own for place in other.places)

    def clauses(self, site: ColumnElement[str], camera: ColumnElement[str]) -> list[ColumnElement[bool]]:
        """Its conditions on a table with these columns."""
        if self.places is None:
            return []
        return [or_(false(), *(and_(site == s, *([camera == c] if c is not None else [])) for s, c in self.places))]


EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: somebody logged in (by name), an API token (`token:NAME`) or whoever sits at the hub's console."""

    user: str
    role: Role
    scope: Scope

    def may(self, right: Right) -> bool:
        """Whether the role has a right."""
        return right in RIGHTS[self.role]


# Names of users and tokens hold no colon, so that neither passes for the other, nor for the console.
CONSOLE = Principal("console:", Role.OWNER, EVERYWHERE)
