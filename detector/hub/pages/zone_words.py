"""Changes of a camera's zones in plain words: those that are in force and those that were drawn enter, lines leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from detector.config import MOST_USUAL
from detector.hub.edges.drafts import Drawn, formers
from detector.hub.texts import Phrases


def change_words(say: Phrases, before: list[dict[str, Any]], drawn: Sequence[Drawn]) -> list[str]:
    """What changes, zone by zone: those that go first, then those that are drawn, in their order."""
    olds = formers([{"was": one.was, "polygon": one.zone["polygon"]} for one in drawn], before)
    kept = [old for old in olds if old is not None]
    told = [
        say("zones_removed", name=zone["name"], kind=_kind(say, zone))
        for zone in before
        if not any(zone is old for old in kept)
    ]
    for one, old in zip(drawn, olds, strict=True):
        told += _added(say, one.zone) if old is None else _changed(say, one, old)
    in_order = [next(k for k, zone in enumerate(before) if zone is old) for old in kept]
    if in_order != sorted(in_order):
        told.append(say("zones_reordered"))
    return told


def _added(say: Phrases, zone: Mapping[str, Any]) -> Iterator[str]:
    yield say("zones_added", name=zone["name"], kind=_kind(say, zone))
    if zone.get("spot"):
        yield _spot_now(say, zone)
    if zone.get("label_up_rate") is not None:
        yield _rate_now(say, zone)


def _changed(say: Phrases, one: Drawn, old: Mapping[str, Any]) -> Iterator[str]:
    zone, name = one.zone, one.zone["name"]
    if name != one.was:
        yield say("zones_renamed", name=name, was=one.was)
    if zone["kind"] != old["kind"]:
        yield say("zones_kind_now", name=name, was=_kind(say, old), kind=_kind(say, zone))
    if zone["polygon"] != old["polygon"]:
        yield say("zones_reshaped", name=name)
    if zone.get("spot") != old.get("spot") and "spot" not in one.lost:
        yield _spot_now(say, zone)
    if zone.get("label_up_rate") != old.get("label_up_rate") and "label_up_rate" not in one.lost:
        yield _rate_now(say, zone)
    if one.lost:
        yield say("zones_lost", name=name)


def _kind(say: Phrases, zone: Mapping[str, Any]) -> str:
    return say.either(f"zone_{zone['kind']}", zone["kind"])


def _spot_now(say: Phrases, zone: Mapping[str, Any]) -> str:
    spot = zone.get("spot")
    return say("zones_spot_now" if spot else "zones_spot_gone", name=zone["name"], spot=spot)


def _rate_now(say: Phrases, zone: Mapping[str, Any]) -> str:
    rate = zone.get("label_up_rate")
    if rate is None:
        return say("zones_rate_gone", name=zone["name"])
    unseen = say("zones_rate_unseen", most=f"{100 * MOST_USUAL:.4g}") if rate > MOST_USUAL else ""
    return say("zones_rate_now", name=zone["name"], percent=f"{100 * rate:.4g}") + unseen
