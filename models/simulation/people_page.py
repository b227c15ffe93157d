"""Figures of what was tried in the simulation (`tries.py`), and a page of them with plots."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from evaluation.svg import Series, chart
from simulation.crowd import PHONE_M, STYLES, TALL_M
from simulation.intervals import count_interval, share_interval
from simulation.tries import MONTH_H, TALL

from detector.coverage import least_height_px

THERE = (0.0, 90.0, 130.0, 170.0, 210.0, 250.0, 500.0)  # bins of the pixels of a person where the photos are taken
PHOTOS = (1, 6, 9, 13, 17, 21)  # bins of how many parcels are photographed in a sweep
WITHIN = (5, 10, 15, 20, 30, 40, 60)  # photos of a patch
# Lists of tries: what `people.json` calls each, and what `summary` does.
LISTS = {"sweeps": "sweeps", "work": "parts", "each_courier": "couriers", "each_stay": "stays", "each_patch": "patches"}


def share(found: int, of: int) -> dict[str, float | int | None]:
    """A share with its 95 % interval."""
    if not of:
        return {"found": 0, "of": 0, "share": None, "low": None, "high": None}
    low, high = share_interval(found, of)
    return {"found": found, "of": of, "share": round(found / of, 4), "low": round(low, 4), "high": round(high, 4)}


def rate(count: int, months: float) -> dict[str, float | int]:
    """Events a month with their 95 % interval."""
    low, high = (end / months for end in count_interval(count))
    return {"count": count, "months": round(months, 3), "a_month": round(count / months, 3),
            "low": round(low, 3), "high": round(high, 3)}  # fmt: skip


def summary(
    parts: Sequence[dict[str, Any]],
    sweeps: Sequence[dict[str, Any]],
    couriers: Sequence[dict[str, Any]] = (),
    stays: Sequence[dict[str, Any]] = (),
    patches: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Figures of all runs, by how tall people are and by style."""
    phone = {tall: round(tall * PHONE_M / TALL_M) for tall in TALL}
    blamed, others = Counter[str](), Counter[str]()
    for part in parts:
        blamed.update(part["blamed"])
        others.update(part["others"])
    near_enough = least_height_px("scene")

    def found(chosen: Iterable[dict[str, Any]]) -> dict[str, float | int | None]:
        kept = list(chosen)
        return share(sum(s["found"] for s in kept), len(kept))

    frames, seconds = sum(p["frames"] for p in parts), sum(p["seconds"] for p in parts)
    return {
        "false_sweeps": rate(sum(p["false"] for p in parts), sum(p["hours"] for p in parts) / MONTH_H)
        if parts
        else None,
        "false_by_phone_px": {
            phone[t]: rate(sum(p["false"] for p in parts if p["tall"] == t), hours / MONTH_H)
            for t in TALL
            if (hours := sum(p["hours"] for p in parts if p["tall"] == t))
        },
        "blamed": dict(blamed.most_common()),
        "other_incidents": dict(others.most_common()),
        "recall": found(sweeps),
        "recall_with_notes": share(sum(s["found_or_noted"] for s in sweeps), len(sweeps)),
        "recall_by_phone_px": {phone[t]: found(s for s in sweeps if s["tall"] == t) for t in TALL},
        "recall_by_person_px_there": {
            f"{low:g} to {high:g}": found(s for s in sweeps if low <= s["tall_there"] < high)
            for low, high in pairwise(THERE)
        },
        # Where people are as tall as the product says they must be for a phone to be judged (`labelwatch doctor`).
        "recall_where_near_enough": {"person_px": round(near_enough)}
        | found(s for s in sweeps if s["tall_there"] >= near_enough),
        "recall_by_photos": {
            f"{low} to {beyond - 1}": found(s for s in sweeps if low <= s["photos"] < beyond)
            for low, beyond in pairwise(PHOTOS)
        },
        "recall_by_style": {style: found(s for s in sweeps if s["style"] == style) for style in STYLES},
        "labels": labels([s for s in sweeps if s["found"]]),
        "couriers": found_out(couriers),
        "stays": stayed(stays),
        "patches": patched(patches),
        "incidents_a_sweep": round(sum(s["incidents"] for s in sweeps) / max(1, sum(s["found"] for s in sweeps)), 3),
        "pipeline_ms_a_frame": round(1000 * seconds / frames, 3) if frames else None,
    }


def labels(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many labels are said to be exposed in sweeps found, against how many parcels were photographed."""
    low, best, high = np.array([s["exposed"] for s in found], float).reshape(-1, 3).T
    true, told = (np.array([s[name] for s in found], float) for name in ("photos", "told"))

    def of_truth(counts: np.ndarray) -> dict[str, float] | None:
        """Quantiles over the sweeps of a count's share of the true one; `None` where none was found."""
        if not found:
            return None
        shares = np.quantile(counts / true, (0.1, 0.5, 0.9))
        return {name: round(float(q), 2) for name, q in zip(("tenth", "median", "nine tenths"), shares, strict=True)}

    return {
        "range_holds_the_truth": share(int(((low <= true) & (true <= high)).sum()), len(found)),
        "too_low": int((high < true).sum()),
        "told_of_true": of_truth(told), "best_of_true": of_truth(best), "high_of_true": of_truth(high),
    }  # fmt: skip


def found_out(couriers: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of how many couriers a sweep was told within so many visits; `None` without any."""
    if not couriers:
        return None
    visits, near_enough = len(couriers[0]["told"]), least_height_px("scene")
    since = [(c, c["told"].index(True) + 1 if any(c["told"]) else None) for c in couriers]
    there = {
        f"{low:g} to {high:g}": [one for one in since if low <= one[0]["tall_there"] < high]
        for low, high in pairwise(THERE)
    }
    return {
        "photos_in_all_median": float(np.median([c["photos"] for c in couriers])),
        "told_within_visits": {n: told(since, n) for n in range(1, visits + 1)},
        "told_at_last_by_style": by_style(since),
        "told_at_last_by_person_px_there": {name: told(chosen) for name, chosen in there.items()},
        "told_at_last_where_near_enough": told([one for one in since if one[0]["tall_there"] >= near_enough]),
    }


def patched(patches: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of how many patches somebody was told within so many photos; `None` without any."""
    if not patches:
        return None
    since = [(p, p["told_after"] if p["found"] else None) for p in patches]
    return {
        "photos_in_all_median": float(np.median([p["photos"] for p in patches])),
        "told_within_photos": {n: told(since, n) for n in WITHIN},
        "told": told(since),
        "told_by_style": by_style(since),
        "told_by_phone_px": {
            round(tall * PHONE_M / TALL_M): told([one for one in since if one[0]["tall"] == tall]) for tall in TALL
        },
    }


Since = tuple[dict[str, Any], float | None]  # a try, and after how many visits or photos it was told, if it was


def told(tries: Sequence[Since], within: float = inf) -> dict[str, float | int | None]:
    """Share of tries told within so many; at all when left out."""
    return share(sum(after is not None and after <= within for _, after in tries), len(tries))


def by_style(tries: Sequence[Since]) -> dict[str, dict[str, float | int | None]]:
    """Share of tries told at all, of each style."""
    return {style: told([one for one in tries if one[0]["style"] == style]) for style in STYLES}


def stayed(stays: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of people who stay: false sweeps an hour, and how many were told as notes; `None` without any."""
    if not stays:
        return None
    hours, false = sum(part["person_hours"] for part in stays), sum(part["false"] for part in stays)
    low, high = (end / hours for end in count_interval(false))
    notes = sum(part["others"].get("label_photography info", 0) for part in stays)
    return {"hours": round(hours, 1), "false": false, "an_hour": round(false / hours, 3), "low": round(low, 3),
            "high": round(high, 3), "notes": notes}  # fmt: skip


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown with plots."""
    bins = zip(pairwise(THERE), figures["recall_by_person_px_there"].values(), strict=True)
    known = {(low + high) / 2: s for (low, high), s in bins if s["of"]}
    plot = chart(
        [Series("sweeps found", list(known), [s["share"] for s in known.values()],
                [s["low"] for s in known.values()], [s["high"] for s in known.values()])],
        "pixels of a person where the photos are taken", "share", marks=[(0.95, "wanted")],
    )  # fmt: skip
    false = figures["false_by_phone_px"]
    top = max([1.5, *(r["high"] for r in false.values())])
    false_plot = chart(
        [Series("false sweeps a camera-month", list(false), [r["a_month"] for r in false.values()],
                [r["low"] for r in false.values()], [r["high"] for r in false.values()])],
        "pixels of a phone near the camera", "a camera-month", y_range=(0.0, top), marks=[(1.0, "at most")],
    )  # fmt: skip
    lines = ["# People among parcels, simulated", "", plot, "", false_plot, ""]
    if couriers := figures["couriers"]:
        lines += [rising(couriers["told_within_visits"], "couriers told", "visits of the same courier"), ""]
    if patches := figures["patches"]:
        lines += [rising(patches["told_within_photos"], "patches told", "photos taken of the same patch"), ""]
    lines += ["| style | found | of | share | 95 % |", "| --- | --- | --- | --- | --- |"]
    for style, s in figures["recall_by_style"].items():
        lines.append(f"| {style} | {s['found']} | {s['of']} | {s['share']} | {s['low']} to {s['high']} |")
    lines += ["", "```json", json.dumps(figures, indent=1), "```", ""]
    return "\n".join(lines)


def rising(within: Mapping[int, dict[str, Any]], what: str, of: str) -> str:
    """A plot of the share told within so many."""
    told = list(within.values())
    low, high = ([t[end] for t in told] for end in ("low", "high"))
    return chart([Series(what, list(within), [t["share"] for t in told], low, high)], of, "share")
