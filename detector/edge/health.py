"""What an edge tells of itself: its cameras and its way to the hub enter; health and layout messages leave."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from detector import wire
from detector.clock import kernel_clock
from detector.config import Analysis, EdgeConfig
from detector.credentials.authority import first_end
from detector.edge.camera_worker import CameraWorker
from detector.edge.delivery import Delivery
from detector.edge.zoned import dumped
from detector.errors import LabelwatchError, ModelError, StoreError
from detector.version import VERSION

if TYPE_CHECKING:
    from detector.alerts.sink import AlertSink

logger = logging.getLogger(__name__)

LOADED_AT = time.monotonic()


def edge_health(cameras: list[CameraWorker], delivery: Delivery, now: float) -> dict[str, Any]:
    """Fields of the health message."""
    config, tuned, zoned = delivery.zoned.config, delivery.tuned.health(), delivery.zoned.health()
    try:
        counts = delivery.outbox.counts()
        counts["dropped"] += sum(camera.sink.dropped for camera in cameras)
    except StoreError as error:
        logger.warning("the outbox can't be counted: %s", error)
        counts = {}
    counts = with_owed(counts, [camera.sink for camera in cameras], now)
    reports = {camera.camera.name: camera.health(now) for camera in cameras}
    told: dict[str, Any] = {"site": config.site, "edge": config.edge, "cameras": reports}
    told |= {"tuned": tuned, "zoned": zoned, "dropped_views": delivery.link.dropped_views}
    uploads = delivery.uploads.health() if delivery.uploads is not None else {}
    told |= {
        **counts,
        **uploads,
        **delivery.trust.health(),
        **what_runs(config),
        **certificate_told(config),
    }
    return {**told, "clock": _clock_told(), **_box_told(config)}


def with_owed(counts: dict[str, Any], sinks: Iterable[AlertSink], now: float) -> dict[str, Any]:
    """Counts of the outbox with what cameras owe it, since the disk takes nothing: that waits for the hub as well.

    A card that can be read and no more has room, and an outbox in which nothing waits; nobody would miss the alerts.
    """
    waiting = [(sink.owed, sink.owed_since) for sink in sinks if sink.owed]
    if not waiting:
        return counts
    owed, since = sum(n for n, _ in waiting), min((at for _, at in waiting if at is not None), default=now)
    oldest_s = max(counts.get("oldest_s", 0.0), round(now - since, 1))
    return {**counts, "backlog": counts.get("backlog", 0) + owed, "oldest_s": oldest_s, "owed": owed}


def status_line(told: dict[str, Any], linked: bool) -> str:
    """The health message in one line, for whoever asks systemd."""
    states = Counter(report["state"] for report in told["cameras"].values())
    cameras = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    link = "broker linked" if linked else "NO BROKER"
    waiting = f"{told['backlog']:.0f} waiting" if "backlog_bytes" in told else "OUTBOX UNREADABLE"
    safe = "SAFE MODE; " if told.get("config", {}).get("state") == "last_good" else ""
    return f"{safe}cameras: {cameras}; {link}; {waiting}"


def edge_layout(cameras: list[CameraWorker], delivery: Delivery, now: float) -> bytes:
    """Zones in force and how far a phone can be judged, for people who draw on a camera's picture."""
    zoned = delivery.zoned
    version, drawn, analysis = zoned.version, zoned.drawn, zoned.config.analysis
    said = {
        name: {
            "title": camera.camera.title or name,
            "zones": [dumped(zone) for zone in zoned.camera(name).zones],
            "file_zones": [dumped(zone) for zone in camera.camera.zones],
            "drawn": name in drawn,
            "coverage": _coverage(camera, analysis),
            "least_height_px": _least_height_px(analysis.model),
        }
        for camera in cameras
        if (name := camera.camera.name)
    }
    return wire.layout_payload(delivery.topics, said, version=version, at=now, key=delivery.key)


def _coverage(camera: CameraWorker, analysis: Analysis) -> dict[str, Any] | None:
    """How far a camera sees well enough; `None` where nobody has said how it hangs, or it has shown nothing yet."""
    mounting, size = camera.camera.mounting, camera.size
    if mounting is None or size is None:
        return None
    from detector.coverage import View, coverage_with

    try:
        view = View(mounting.height_m, mounting.tilt_deg, mounting.fov_deg, *size, turned=camera.camera.turned or 0)
        return coverage_with(view, analysis).record()
    except (ModelError, ValueError) as error:
        logger.warning("how far a phone can be judged isn't known camera=%s: %s", camera.camera.name, error)
        return None


@cache
def _least_height_px(model: str) -> float | None:
    """How tall somebody stands whose phone can be judged, pixels of the frame; `None` where no card says."""
    from detector.coverage import least_height_px

    try:
        return round(least_height_px(model), 1)
    except ModelError:
        return None


def _box_told(config: EdgeConfig) -> dict[str, Any]:
    """What a person asks first of a box that is far away: what it runs, since when, and whether its disk is full."""
    told = {"version": VERSION, "uptime_s": round(time.monotonic() - LOADED_AT, 1)}
    model = _model(config.analysis.model, config.analysis.precision)
    disk = shutil.disk_usage(config.data_dir)
    return {
        **told,
        "model": {"name": model[0], "precision": model[1]} if model else None,
        "disk_free": disk.free,
        "disk_total": disk.total,
    }


@cache
def _model(model: str, precision: str) -> tuple[str, str, str | None] | None:
    """Name of a model, what it computes in, and the SHA-256 of its file."""
    from detector.inference.card import find_card
    from detector.inference.session import choose

    try:
        card = find_card(model)
        variant = choose(card, precision)
        return card.name, variant.precision, variant.sha256 or card.sha256
    except LabelwatchError:
        return None  # it was there when it was loaded


def what_runs(config: EdgeConfig) -> dict[str, str | None]:
    """What findings rest on, for evidence: SHA-256 of the model's file and of the configuration as canonical JSON."""
    told = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    model = _model(config.analysis.model, config.analysis.precision)
    return {
        "model_sha256": model[2] if model else None,
        "config_sha256": hashlib.sha256(told.encode()).hexdigest(),
    }


def certificate_told(config: EdgeConfig) -> dict[str, float]:
    """When an edge reaches broker or hub no more, since a certificate of its own, or of who vouches for them, ends."""
    ends_at = first_end(config.certificates)
    return {} if ends_at is None else {"certificate_ends_at_unix": ends_at}


def _clock_told() -> dict[str, Any] | None:
    kernel = kernel_clock()
    return {"synchronised": kernel.synchronised, "error_s": round(kernel.error_s, 6)} if kernel else None
