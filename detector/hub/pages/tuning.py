"""Least scores by camera and kind: what verdicts propose, what people set, and whether edges took it."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from detector import wire
from detector.hub.desk.charts import dots
from detector.hub.edges.thresholds import Threshold, configured_score
from detector.hub.pages.refusals import refusals
from detector.hub.pages.view import Form, MayConfigure, MayJudgeOrConfigure, View
from detector.hub.storage.tuning import MOST_JUDGED, MOST_LOST, SURE, Advice, Judged, advise
from detector.names import natural
from detector.values import DAY_S, IncidentKind

logger = logging.getLogger(__name__)
router = APIRouter()

JUDGED_S = 90 * DAY_S  # older verdicts speak of a camera, and a model, that may be others by now
MOST_CHANGES = 100
FEW = 5  # places that are shown whole: those where a change helps most; of the others a line each
KINDS = frozenset(kind.value for kind in IncidentKind)

Place = tuple[str, str, str, str]  # site, edge, camera, kind


@dataclass(frozen=True)
class Tuning:
    """One camera and kind of incident: what its verdicts say, and what people set so far, latest first.

    `configured` is the least score that the edge's configuration asks for; 0 where it told of none.
    """

    place: Place
    title: str
    judged: list[Judged]
    changes: list[Threshold]
    configured: float

    @property
    def now(self) -> float | None:
        """The least score that was set; `None` where the edge's configuration counts."""
        return self.changes[0].least_score if self.changes else None

    @property
    def version(self) -> int:
        """Of the last change; 0 where there was none."""
        return self.changes[0].version if self.changes else 0

    @property
    def in_force(self) -> float:
        """The least score that counts today, as far as the hub knows."""
        return self.configured if self.now is None else self.now

    @property
    def is_off(self) -> bool:
        """Whether nothing of this kind is told here."""
        return self.now == wire.OFF

    @property
    def formers(self) -> list[float | None]:
        """What one can go back to, latest first: neither what is set now, nor off, which is asked about first."""
        return [change.before for change in self.changes if change.before not in (wire.OFF, self.now)]

    @property
    def query(self) -> str:
        """Names it in an address."""
        return urlencode(dict(zip(("site", "edge", "camera", "kind"), self.place, strict=True)))

    @cached_property
    def advice(self) -> Advice:
        """What its verdicts say; of a kind that is off, as if the configuration counted."""
        return advise(self.judged, self.configured if self.is_off else self.in_force)

    @property
    def state(self) -> str:
        """`off`, `proposed` where a change would help, else `set` where people set a score, else `none`."""
        if self.is_off:
            return "off"
        if self.advice.proposal:
            return "proposed"
        return "none" if self.now is None else "set"

    @property
    def worth(self) -> tuple[bool, int, int]:
        """What is off first, then by how many false incidents a change spares, and by how many there are."""
        proposal = self.advice.proposal
        return self.is_off, proposal.spared if proposal else 0, self.advice.counts["false"]


@router.get("/tuning")
def tuning_page(
    view: MayJudgeOrConfigure, site: str = "", edge: str = "", camera: str = "", kind: str = ""
) -> Response:
    """Least scores by camera and kind: what verdicts propose, what was set by whom, and whether edges took it.

    Named in the address, one camera and kind alone.
    """
    place, changes = (site, edge, camera, kind), _changes(view)
    if any(place):
        shown = [_tuning(view, place)]
        others, changes = [], shown[0].changes
    else:
        found = sorted(_tunings(view, changes), key=lambda one: one.worth, reverse=True)
        shown, others = found[:FEW], found[FEW:]
    return view.page(
        "tuning.html", shown=shown, is_one=any(place), changes=changes[:MOST_CHANGES], days=round(JUDGED_S / DAY_S),
        others={state: [one for one in others if one.state == state] for state in ("off", "proposed", "set", "none")},
        edges=_answers(view), dots=dots, most_lost=MOST_LOST, sure=SURE,
    )  # fmt: skip


@router.get("/tuning/edges")
def tuning_edges(view: MayJudgeOrConfigure) -> Response:
    """Whether edges took what was set."""
    return view.page("edges.html", edges=_answers(view))


@router.post("/tuning")
def tune(view: MayConfigure, fields: Form) -> Response:
    """Take a proposal into force, switch a kind off, or go back to the value before; nothing else can be set.

    Where somebody else was quicker, or new verdicts have changed the proposal, nothing happens: the page shows how
    things stand now.
    """
    place = (fields.get("site", ""), fields.get("edge", ""), fields.get("camera", ""), fields.get("kind", ""))
    found = _tuning(view, place)
    shown = f"/tuning?{found.query}"
    proposal, deed = found.advice.proposal, fields.get("do")
    wanted: float | None
    evidence: dict[str, Any]
    if deed == "back" and found.formers:
        wanted, evidence = found.formers[0], {"back": True}
    elif deed == "off":
        wanted, evidence = wire.OFF, {"off": True}
    elif deed == "apply" and proposal and fields.get("least_score") == f"{proposal.least_score:.2f}":
        wanted = proposal.least_score
        evidence = {name: getattr(proposal, name) for name in ("kept", "lost", "spared", "left", "lost_bound")}
    else:
        return RedirectResponse(shown, 303)
    # By the value alone what others set and took back meanwhile would look as if nothing had been done.
    if (fields.get("now"), fields.get("change")) != (view.written(found.now), str(found.version)):
        return RedirectResponse(shown, 303)
    with view.store.database.writing():
        # What the configuration asked for is the value before, or after, and may be another by the time it is read.
        is_set = view.parts.thresholds.set(
            *place, wanted, expected=found.version, user=view.user, at=view.now,
            evidence=evidence | {"configured": found.configured},
        )  # fmt: skip
        if is_set:
            view.did("threshold_set", f"{place[0]}/{place[1]}", camera=place[2], kind=place[3], least_score=wanted)
    if is_set:
        logger.info("thresholds of %s/%s changed by %s", ascii(place[0]), ascii(place[1]), ascii(view.user))
        view.parts.tell()
    return RedirectResponse(shown, 303)


def _changes(view: View) -> list[Threshold]:
    """Every change of what the visitor sees, latest first."""
    return [change for change in view.parts.thresholds.all_changes() if view.scope.sees(change.site, change.camera)]


def _tuning(view: View, place: Place) -> Tuning:
    """One camera and kind; 404 where there is nothing of it."""
    found = [one for one in _tunings(view, _changes(view), place) if one.place == place]
    if not found:
        raise HTTPException(404)
    return found[0]


def _tunings(view: View, changes: list[Threshold], place: Place | None = None) -> list[Tuning]:
    """Every camera and kind that was judged or has a least score of its own; kinds that edges do not know left out.

    With `place`, that one and others that have a least score of their own.
    """
    set_there: dict[Place, list[Threshold]] = defaultdict(list)
    for change in changes:
        set_there[change.site, change.edge, change.camera, change.kind].append(change)
    judged: dict[Place, list[Judged]] = defaultdict(list)
    for one in view.store.verdicts.judged(view.now - JUDGED_S, view.scope, place):
        if one.kind in KINDS:
            judged[one.site, one.edge, one.camera, one.kind].append(one)
    healths = {(edge.site, edge.edge): edge.health for edge in view.edges}
    return [
        Tuning(
            place,
            view.title(*place[:3]),
            judged[place][:MOST_JUDGED],
            set_there[place],
            configured_score(healths.get(place[:2]), *place[2:]),
        )
        for place in sorted({*set_there, *judged}, key=lambda place: natural(*place))
    ]


def _answers(view: View) -> list[dict[str, Any]]:
    """For every edge whose thresholds were set: the newest version, and whether it is `taken`, `refused` or awaited.

    `causes` says in the reader's language why it was refused, as far as this hub can tell; `reason` is the edge's own.
    """
    newest: dict[tuple[str, str], Threshold] = {}
    for change in view.parts.thresholds.all_changes():
        if view.scope.sees(change.site):
            newest.setdefault((change.site, change.edge), change)
    known = {(edge.site, edge.edge): edge for edge in view.edges}
    answers = []
    for (site, edge), change in sorted(newest.items(), key=lambda one: natural(*one[0])):
        answer = view.parts.thresholds.answer(known.get((site, edge)), change, change)
        is_seen_whole = view.scope.sees_all_of(site)  # a box's own words may be of any of its cameras
        causes = refusals(view.say, answer.causes) if is_seen_whole else []
        answers.append(
            {
                "site": site, "edge": edge, "version": change.version, "state": answer.state,
                "reason": answer.reason if is_seen_whole else "", "causes": causes,
            }
        )  # fmt: skip
    return answers
