"""Where a configuration contradicts itself: it enters with a day, what can never have its effect leaves as problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from detector.config import Calendar, EdgeConfig, Exemption, Policy, Zone
from detector.config.covered import covered_zones
from detector.errors import Problem
from detector.rules.policy import SUBJECTS
from detector.shifts import Shifts

ALWAYS_WORKING = "it is always working time, when staying is fine", "give calendar.shifts"

Found = tuple[str, str, str]


def contradictions(config: EdgeConfig, path: Path, on: date) -> list[Problem]:
    """What can never have an effect, or not the one it seems to.

    Args:
        config: An edge configuration that was read without error.
        path: Its file, for the messages.
        on: The day from which on it is to hold.
    """
    found = [*_in_calendar(config), *_in_rules(config)]
    for c, camera in enumerate(config.cameras):
        found += _in_zones(camera.zones, f"cameras[{c}].zones")
        for z, zone in enumerate(camera.zones):
            found += _in_policy(zone, config.calendar, f"cameras[{c}].zones[{z}]", on)
    return [Problem(str(path), key, reason, hint) for key, reason, hint in found]


def _in_calendar(config: EdgeConfig) -> Iterator[Found]:
    """Shifts that are never on, since an earlier one always is."""
    calendar = config.calendar
    week = date(2024, 1, 1)  # a Monday; without closed days and changes of the clocks every week is alike
    bare = [shift.model_copy(update={"name": str(n)}) for n, shift in enumerate(calendar.shifts)]
    shifts = Shifts(Calendar(shifts=bare), "UTC")
    edges = sorted({text for shift in bare for text in (shift.begins, shift.ends, "00:00")})
    begin = datetime.fromisoformat(f"{week}T00:00+00:00")
    moments = [
        (begin + timedelta(days=d, hours=int(text[:2]), minutes=int(text[3:]))).timestamp()
        for d in range(8)
        for text in edges
    ]
    on = {duty.name for at in moments if (duty := shifts.at(at))}
    for n, shift in enumerate(calendar.shifts):
        if str(n) not in on:
            yield f"calendar.shifts[{n}]", f"{shift.name} is never on: earlier shifts are", "put it first"


def _in_rules(config: EdgeConfig) -> Iterator[Found]:
    rules = config.rules
    if config.analysis.fps < rules.photo.least_fps:
        apart, gap_s = 1 / config.analysis.fps, rules.photo.gap_s
        reason = (
            f"looks are {apart:.3g} s apart, and after {gap_s:g} s without one an act is over: no photo is ever told"
        )
        hint = (
            f"make it {2 * rules.photo.least_fps:.2g} or more, so that one look may fail, or rules.photo.gap_s longer"
        )
        yield "analysis.fps", reason, hint
    if rules.orientation.by_shift and not config.calendar.shifts:
        yield "rules.orientation.by_shift", "there are no shifts", "give calendar.shifts, or leave it out"
    if rules.lingering.crouched_after_s > rules.lingering.after_s:
        reason = f"after {rules.lingering.after_s:g} s it is lingering already"
        yield "rules.lingering.crouched_after_s", reason, "make it less than after_s"
    if rules.blind_edge.visit_s > rules.blind_edge.away_s:
        reason = f"out of sight for {rules.blind_edge.away_s:g} s is told already"
        yield "rules.blind_edge.visit_s", reason, "make it less than away_s"


def _in_zones(zones: Sequence[Zone], key: str) -> Iterator[Found]:
    """Zones of a camera that are named twice or hidden by others."""
    for z, zone in enumerate(zones):
        # Zones of kind blind_edge that share a name are mouths of one place.
        if any(zone.name == other.name and {zone.kind, other.kind} != {"blind_edge"} for other in zones[:z]):
            yield f"{key}[{z}].name", f"the name {zone.name} is given twice", "each zone of a camera needs its own name"
    for one in covered_zones(zones):
        yield f"{key}[{one.place}].{one.field}", one.reason, one.hint


def _in_policy(zone: Zone, calendar: Calendar, key: str, on: date) -> Iterator[Found]:
    policy = zone.policy
    if zone.kind == "ignore":
        if policy != Policy():
            yield f"{key}.policy", "nothing in an ignored zone is looked at", "leave it out, or give another kind"
        return
    if zone.label_up_rate is not None and zone.kind != "storage":
        yield f"{key}.label_up_rate", "only storage zones are watched for labels facing up", "leave it out"
    if policy.staying == "allowed" and _is_always_working(calendar):
        yield f"{key}.policy.staying", *ALWAYS_WORKING
    for n, exemption in enumerate(policy.exemptions):
        for part, reason, hint in _in_exemption(policy, n, exemption, calendar, on):
            yield f"{key}.policy.exemptions[{n}]{part}", reason, hint


def _in_exemption(policy: Policy, n: int, exemption: Exemption, calendar: Calendar, on: date) -> Iterator[Found]:
    said = _said(exemption)
    others = [other for other in policy.exemptions if other is not exemption]
    names = dict.fromkeys(shift.name for shift in calendar.shifts)
    if exemption.until is not None and exemption.until < on:
        yield ".until", f"it held until {exemption.until} and never will again", "give a later day, or take it out"
    for shift in exemption.shifts:
        if shift not in names:
            known = f"one of {', '.join(names)}" if names else "give calendar.shifts"
            yield ".shifts", f"no shift is called {shift}: it never holds then", known
    if not said:
        yield "", "it says nothing of phones, scanners or staying", "say what is allowed or forbidden"
    elif set(said) == {"staying"} and _is_always_working(calendar):
        yield ".staying", *ALWAYS_WORKING
    elif set(said) == {"staying"} and exemption.shifts:
        yield ".staying", "during shifts staying is fine anyway", "leave out its shifts"
    elif all(getattr(policy, name) == word for name, word in said.items()) and not any(
        name in _said(other) for other in others for name in said
    ):
        yield "", "it changes nothing: the policy says the same", "take it out"
    earlier = next((e for e, other in enumerate(policy.exemptions[:n]) if _outdoes(other, exemption)), None)
    if said and earlier is not None:
        yield "", f"exemptions[{earlier}] holds whenever this does, and wins", "put this before it"


def _is_always_working(calendar: Calendar) -> bool:
    return not calendar.shifts and not calendar.closed


def _said(exemption: Exemption) -> dict[str, str]:
    return {name: getattr(exemption, name) for name in SUBJECTS if getattr(exemption, name) is not None}


def _outdoes(earlier: Exemption, later: Exemption) -> bool:
    """Whether an earlier exemption holds whenever a later one does, and speaks of all that it speaks of."""
    return (
        _said(later).keys() <= _said(earlier).keys()
        and (not earlier.shifts or (bool(later.shifts) and {*later.shifts} <= {*earlier.shifts}))
        and (earlier.until is None or (later.until is not None and later.until <= earlier.until))
        and (earlier.people is None or (later.people is not None and later.people <= earlier.people))
    )
