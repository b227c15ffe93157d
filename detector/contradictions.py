"""Where a configuration contradicts itself: it enters with a day, what can never have its effect leaves as problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from detector.config import Calendar, Camera, EdgeConfig, Exemption, Policy, Zone
from detector.config.covered import covered_zones
from detector.errors import Cause, Problem
from detector.rules import blind_edge, sweep, tamper
from detector.rules.policy import SUBJECTS
from detector.shifts import Shifts

HIGHEST_M = 50.0
ALWAYS_WORKING = "it is always working time, when staying is fine", "give calendar.shifts"


class Found(NamedTuple):
    """What is wrong with a setting; `code` where zones of the hub may be refused for it, `more` than a zone's name."""

    key: str
    reason: str
    hint: str
    code: str = ""
    zone: str = ""
    more: Mapping[str, str] = MappingProxyType({})


def contradictions(config: EdgeConfig, path: Path, on: date) -> list[Problem]:
    """What can never have an effect, or not the one it seems to.

    Args:
        config: An edge configuration that was read without error.
        path: Its file, for the messages.
        on: The day from which on it is to hold; that of a shift past midnight is the one on which it began.
    """
    problems = [Problem(str(path), *found[:3]) for found in (*_in_calendar(config), *_in_rules(config))]
    for c, camera in enumerate(config.cameras):
        found = [*_in_source(config.cameras, c)]
        found += [*_in_zones(camera.zones, f"cameras[{c}].zones")]
        for z, zone in enumerate(camera.zones):
            found += _in_policy(zone, config.calendar, f"cameras[{c}].zones[{z}]", on)
        problems += [Problem(str(path), *one[:3], _cause(one, camera.name), (camera.name, one.zone)) for one in found]
    return problems


def _cause(found: Found, camera: str) -> Cause | None:
    return Cause(found.code, {"camera": camera, "zone": found.zone, **found.more}) if found.code else None


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
            yield Found(f"calendar.shifts[{n}]", f"{shift.name} is never on: earlier shifts are", "put it first")


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
        yield Found("analysis.fps", reason, hint)
    if not config.analysis.zooms:
        reason = "nobody is looked at closely, which is what tells what hands do: no photo is told"
        yield Found("analysis.zooms", reason, "make it 1 or more: people take turns")
    if rules.orientation.by_shift and not config.calendar.shifts:
        yield Found("rules.orientation.by_shift", "there are no shifts", "give calendar.shifts, or leave it out")
    elif rules.orientation.by_shift and not rules.orientation.learn:
        yield Found("rules.orientation.by_shift", "no rate is learned: learn is false", "leave one of the two out")
    if rules.lingering.crouched_after_s > rules.lingering.after_s:
        reason = f"after {rules.lingering.after_s:g} s it is lingering already"
        yield Found("rules.lingering.crouched_after_s", reason, "make it less than after_s")
    if config.incidents.longest_s <= config.incidents.join_s:
        reason = f"what comes within {config.incidents.join_s:g} s is of one incident, which is over sooner"
        yield Found("incidents.longest_s", reason, "make it longer than join_s")
    if rules.blind_edge.visit_s > rules.blind_edge.away_s:
        reason = f"out of sight for {rules.blind_edge.away_s:g} s is told already"
        yield Found("rules.blind_edge.visit_s", reason, "make it less than away_s")
    for key, set_s, most_s, why in (
        ("sweep.window_s", rules.sweep.window_s, sweep.LONGEST_S, "photos are forgotten"),
        ("blind_edge.away_s", rules.blind_edge.away_s, blind_edge.FORGET_S, "nobody is believed inside"),
        ("tamper.after_s", rules.tamper.after_s, tamper.ACCEPT_S, "another aim or focus is the usual one"),
    ):
        if set_s > most_s:
            yield Found(f"rules.{key}", f"{why} after {most_s:g} s", f"make it {most_s:g} or less")


def _in_source(cameras: Sequence[Camera], c: int) -> Iterator[Found]:
    """A camera that looks through another's eye, and one that hangs higher than any can see from."""
    camera = cameras[c]
    same = next((other.name for other in cameras[:c] if other.live and other.source == camera.source), None)
    if same is not None:
        reason = f"is that of {same}, too: what happens there would be told twice"
        yield Found(f"cameras[{c}].source", reason, "give each camera its own address")
    if camera.mounting is not None and camera.mounting.height_m > HIGHEST_M:
        reason = f"{camera.mounting.height_m:g} m above the ground nothing can be judged"
        yield Found(f"cameras[{c}].mounting.height_m", reason, "metres are meant, e.g. 3.2")


def _in_zones(zones: Sequence[Zone], key: str) -> Iterator[Found]:
    """Zones of a camera that are named twice or hidden by others."""
    for z, zone in enumerate(zones):
        # Zones of kind blind_edge that share a name are mouths of one place.
        if any(zone.name == other.name and {zone.kind, other.kind} != {"blind_edge"} for other in zones[:z]):
            reason, hint = f"the name {zone.name} is given twice", "each zone of a camera needs its own name"
            yield Found(f"{key}[{z}].name", reason, hint, "name_twice", zone.name)
    for one in covered_zones(zones):
        # Without a code: the hub finds these by the same rule.
        yield Found(f"{key}[{one.place}].{one.field}", one.reason, one.hint, zone=one.zone.name)


def _in_policy(zone: Zone, calendar: Calendar, key: str, on: date) -> Iterator[Found]:
    policy = zone.policy
    if zone.label_up_rate is not None and zone.kind != "storage":
        reason = "only storage zones are watched for labels facing up"
        yield Found(f"{key}.label_up_rate", reason, "leave it out", "rate_not_storage", zone.name)
    if zone.kind == "ignore":
        if policy != Policy():
            reason, hint = "nothing in an ignored zone is looked at", "leave it out, or give another kind"
            yield Found(f"{key}.policy", reason, hint, "policy_ignored", zone.name)
        if zone.spot is not None:
            yield Found(f"{key}.spot", "nothing in an ignored zone is told", "leave it out", "spot_ignored", zone.name)
        return
    if policy.staying == "allowed" and _is_always_working(calendar):
        yield Found(f"{key}.policy.staying", *ALWAYS_WORKING, "staying_anyway", zone.name)
    for n, exemption in enumerate(policy.exemptions):
        for found in _in_exemption(policy, n, exemption, calendar, on):
            yield found._replace(key=f"{key}.policy.exemptions[{n}]{found.key}", zone=zone.name)


def _in_exemption(policy: Policy, n: int, exemption: Exemption, calendar: Calendar, on: date) -> Iterator[Found]:
    said = _said(exemption)
    others = [other for other in policy.exemptions if other is not exemption]
    names = dict.fromkeys(shift.name for shift in calendar.shifts)
    if exemption.until is not None and exemption.until < on:
        reason = f"it held until {exemption.until} and never will again"
        until = {"until": str(exemption.until)}
        yield Found(".until", reason, "give a later day, or take it out", "exemption_over", more=until)
    for shift in exemption.shifts:
        if shift not in names:
            known = f"one of {', '.join(names)}" if names else "give calendar.shifts"
            reason = f"no shift is called {shift}: it never holds then"
            yield Found(".shifts", reason, known, "exemption_no_shift", more={"shift": shift})
    if not said:
        reason = "it says nothing of phones, scanners or staying"
        yield Found("", reason, "say what is allowed or forbidden", "exemption_empty")
    elif set(said) == {"staying"} and _is_always_working(calendar):
        yield Found(".staying", *ALWAYS_WORKING, "staying_anyway")
    elif set(said) == {"staying"} and exemption.shifts:
        reason = "during shifts staying is fine anyway"
        yield Found(".staying", reason, "leave out its shifts", "exemption_in_shifts")
    elif all(getattr(policy, name) == word for name, word in said.items()) and not any(
        name in _said(other) for other in others for name in said
    ):
        yield Found("", "it changes nothing: the policy says the same", "take it out", "exemption_same")
    earlier = next((e for e, other in enumerate(policy.exemptions[:n]) if _outdoes(other, exemption)), None)
    if said and earlier is not None:
        reason = f"exemptions[{earlier}] holds whenever this does, and wins"
        yield Found("", reason, "put this before it", "exemption_outdone")


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
