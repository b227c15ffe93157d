"""What Prometheus may read: counts of the store when asked, and how long pages took since the hub started.

No label takes values without bound: kinds and severities are those this program knows and `other`, pages are routes,
edges those that were let in, and of each only so many cameras are told, by names that a configuration may give.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detector.clock import Clock
from detector.hub.edges.cameras import CameraState, camera_states, counter, told_of
from detector.hub.edges.keys import EdgeKeys
from detector.hub.integrations.link import Link
from detector.hub.storage import rights
from detector.hub.storage.schema import alerts, clips, edges, incidents, notices, refusals, streams
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Edge
from detector.hub.watch.alarms import Alarms
from detector.hub.watch.gaps import LATE, LATE_S
from detector.hub.watch.health import Health
from detector.names import is_name
from detector.values import IncidentKind, Severity

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)
KINDS = frozenset(kind.value for kind in IncidentKind)
SEVERITIES = frozenset(severity.value for severity in Severity)
HELD = "held"
QUEUE = ("waiting", "sending", HELD)
ENDLESS = ("/events", "/review/events", "/api/events")  # streams that last as long as somebody listens
NO_ROUTE = "none"
CAMERA_FIGURES = (
    ("due_fps", "due_fps", "Frames a second that were due to be looked at"),
    ("analysed_fps", "analysed_fps", "Those that were looked at"),
    ("passed_over_fps", "passed_over_fps", "Those that nothing moved in and nobody was, and that need no look"),
    ("wait_s", "wait_seconds", "How long a look waited for its turn, on average"),
    ("dropped", "dropped_frames", "Frames that were due and given up for newer ones"),
)


class Metrics:
    """The hub's figures in Prometheus' text format.

    Args:
        store: What is counted.
        health: Knows how the hub itself stands.
        keys: Know which edges were shut out, and are missed no more.
        clock: Tells the time for ages.
        alarms: Knows what is wrong.
        link: Tells other systems by MQTT; its figures are shown where it has anything to tell.
    """

    def __init__(self, store: Store, health: Health, keys: EdgeKeys, clock: Clock, alarms: Alarms, link: Link) -> None:
        self._store = store
        self._health = health
        self._keys = keys
        self._clock = clock
        self._alarms = alarms
        self._link = link
        self._registry = CollectorRegistry()
        self._pages = Histogram(
            "labelwatch_page_seconds", "Time from request to whole answer, by route", ["route"],
            buckets=BUCKETS_S, registry=self._registry,
        )  # fmt: skip

    def took(self, route: str, seconds: float) -> None:
        """A page has been answered."""
        self._pages.labels(route).observe(seconds)

    def page(self, scope: rights.Scope = rights.EVERYWHERE) -> bytes:
        """All figures of the places in a scope; the hub's own are everybody's."""
        counted = CollectorRegistry()
        parts = self._store, self._health, self._keys, self._clock, self._alarms, self._link
        counted.register(_Counted(*parts, scope))
        return generate_latest(counted) + generate_latest(self._registry)


class _Counted(Collector):
    """The database's figures, at one moment."""

    def __init__(
        self,
        store: Store,
        health: Health,
        keys: EdgeKeys,
        clock: Clock,
        alarms: Alarms,
        link: Link,
        scope: rights.Scope,
    ) -> None:
        self._store, self._health, self._clock, self._alarms, self._scope = store, health, clock, alarms, scope
        self._keys, self._link = keys, link

    def describe(self) -> Iterable[Metric]:
        """Nothing: else registering would ask the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every figure."""
        now = self._clock.now()
        known = [edge for edge in self._store.edges.all(self._scope) if is_name(edge.edge)]
        # Whom nobody misses says nothing any more: told as one that should, it would call people for ever.
        only_replaying = self._store.edges.only_replaying()
        missed = [edge for edge in self._keys.in_service(known) if (edge.site, edge.edge) not in only_replaying]
        yield from self._of_incidents()
        yield from self._of_alerts(known, missed)
        yield GaugeMetricFamily("labelwatch_edges", "Edges ever heard of", len(known))
        states = [one for one in camera_states(missed, now, self._scope) if is_name(one.name)]
        yield from self._of_edges(missed, states, now)
        yield from self._of_cameras(states)
        yield from self._of_the_hub()
        yield from self._of_integrations()
        lasting = GaugeMetricFamily("labelwatch_alarms", "System alarms that last", labels=["kind"])
        for kind, n in self._alarms.counts(self._scope).items():
            lasting.add_metric([kind], n)
        yield lasting

    def _of_incidents(self) -> Iterator[Metric]:
        c, shown = incidents.c, incidents.alias("shown")
        # Of those that replays found the time is set: counted, not grouped by, they cost no order but the index's own.
        query = select(c.kind, c.severity, func.count(), func.count(c.replayed_at)).group_by(c.kind, c.severity)
        query = query.where(*self._scope.clauses(c.site, c.camera))
        # What another camera's is shown for is no second incident. Through functions, as below.
        kind_of, severity_of = func.coalesce(c.kind, ""), func.coalesce(c.severity, "")
        doubles = select(kind_of, severity_of, func.count()).join(shown, shown.c.id == c.same_as)
        doubles = doubles.where(c.same_as.is_not(None), c.replayed_at.is_(None))
        doubles = doubles.where(*self._scope.clauses(c.site, c.camera))
        doubles = doubles.where(*self._scope.clauses(shown.c.site, shown.c.camera)).group_by(kind_of, severity_of)
        # Each from the first, at 0: of a series that begins with the first critical one nobody sees that it grew.
        counts: Counter[tuple[str, str]] = Counter(dict.fromkeys(product(KINDS, SEVERITIES), 0))
        replayed = 0
        with self._store.database.reading() as connection:
            for kind, severity, n, of_replay in connection.execute(query):
                counts[_known(kind, severity)] += n - of_replay
                replayed += of_replay
            for kind, severity, n in connection.execute(doubles):
                counts[_known(kind, severity)] -= n
        # Who is called when this grows must not be called for what happened three weeks ago. Its name is a counter's,
        # under which it is known; it falls, though, where one grows graver, and of a counter that falls Prometheus
        # thinks that it began anew, and that all of it is new.
        words = "Incidents stored, by what they are now: where one grows graver it moves, so use delta()"
        told = GaugeMetricFamily("labelwatch_incidents_total", words, labels=["kind", "severity"])
        for labels, n in sorted(counts.items()):
            told.add_metric(list(labels), n)
        yield told
        yield CounterMetricFamily(
            "labelwatch_incidents_replayed", "Incidents that replays of recordings found", replayed
        )

    def _of_alerts(self, known: list[Edge], missed: list[Edge]) -> Iterator[Metric]:
        sites = {edge.site for edge in known}
        offset = func.coalesce(edges.c.clock_offset_s, 0.0)
        # Through a function, as in `Wanted.clauses`: grouped by the site alone, SQLite reads every alert in its order.
        site = func.coalesce(alerts.c.site, "")
        late = (
            select(site, func.count())
            .outerjoin(edges, (edges.c.site == alerts.c.site) & (edges.c.edge == alerts.c.edge))
            .where(LATE, alerts.c.received_at - alerts.c.sent_at + offset > LATE_S)
            .group_by(site)
        )
        received = select(streams.c.site, func.sum(streams.c.received)).group_by(streams.c.site)
        with self._store.database.reading() as connection:
            received_by = {site: int(n) for site, n in connection.execute(received)}
            late_by = {site: int(n) for site, n in connection.execute(late)}
            refused = connection.execute(select(func.max(refusals.c.number))).scalar_one() or 0
        is_seen = self._scope.places is None
        counts = [
            ("labelwatch_alerts_received", "Alerts ever stored", received_by),
            ("labelwatch_alerts_late", "Alerts that came more than a minute after they were made", late_by),
        ]
        for name, words, by_site in counts:
            yield CounterMetricFamily(name, words, sum(n for site, n in by_site.items() if is_seen or site in sites))
        yield CounterMetricFamily("labelwatch_messages_refused", "Messages not believed, one a kind a minute", refused)
        for name, words, n in (
            ("labelwatch_alerts_missing", "Alerts numbered by edges that have not come", [e.missing for e in missed]),
            ("labelwatch_alerts_lost", "Those of them that don't wait at the edge either", [e.lost for e in missed]),
            ("labelwatch_alerts_dropped", "Alerts that edges said they dropped", [e.dropped for e in known]),
        ):
            yield GaugeMetricFamily(name, words, sum(n))

    def _of_edges(self, missed: list[Edge], states: list[CameraState], now: float) -> Iterator[Metric]:
        online = sum(edge.state == "online" for edge in missed)
        yield GaugeMetricFamily("labelwatch_edges_online", "Edges that are online", online)
        gauges = {
            name: GaugeMetricFamily(f"labelwatch_edge_{name}", words, labels=["site", "edge"])
            for name, words in (
                ("online", "1 where the edge is online"),
                ("report_age_seconds", "Age of the edge's last health report"),
                ("backlog", "Alerts waiting at the edge"),
                ("backlog_age_seconds", "Age of the oldest alert waiting at the edge, as it last told"),
                ("disk_free_bytes", "Free on the disk of the edge's data folder"),
                ("clock_offset_seconds", "How far the edge's clock is ahead"),
                ("cameras_behind", "Cameras that the edge can't keep up with"),
            )
        }
        behind = Counter((one.site, one.edge) for one in states if one.behind)
        for edge in missed:
            told = edge.health or {}
            values = {
                "online": edge.state == "online",
                "report_age_seconds": None if edge.health_at is None else round(now - edge.health_at, 1),
                "backlog": counter(edge, "backlog"),
                "backlog_age_seconds": counter(edge, "oldest_s") if "oldest_s" in told else None,
                "disk_free_bytes": counter(edge, "disk_free") if "disk_free" in told else None,
                "clock_offset_seconds": edge.clock_offset_s,
                "cameras_behind": behind[edge.site, edge.edge],
            }
            for name, value in values.items():
                if value is not None:
                    gauges[name].add_metric([edge.site, edge.edge], value)
        yield from gauges.values()

    def _of_cameras(self, states: list[CameraState]) -> Iterator[Metric]:
        cameras, left_out = told_of(states)
        yield GaugeMetricFamily("labelwatch_cameras_left_out", "Cameras not told, too many of their edge", left_out)
        labels = ["site", "edge", "camera"]
        age = GaugeMetricFamily("labelwatch_camera_age_seconds", "Age of the camera's last frame", labels=labels)
        fine = GaugeMetricFamily("labelwatch_camera_watched", "1 where the camera is watched", labels=labels)
        for camera in cameras:
            place = [camera.site, camera.edge, camera.name]
            if camera.state != "ended":  # a recording that is over is nobody's trouble
                fine.add_metric(place, camera.is_fine)
            if camera.age_s is not None:
                age.add_metric(place, round(camera.age_s, 1))
        yield from (age, fine)
        for figure, name, words in CAMERA_FIGURES:
            kind = CounterMetricFamily if figure == "dropped" else GaugeMetricFamily
            told_by = kind(f"labelwatch_camera_{name}", words, labels=labels)
            for camera in cameras:
                if figure in camera.figures:
                    told_by.add_metric([camera.site, camera.edge, camera.name], camera.figures[figure])
            yield told_by

    def _of_the_hub(self) -> Iterator[Metric]:
        queued = select(notices.c.state, func.count()).where(notices.c.state.in_(QUEUE)).group_by(notices.c.state)
        with self._store.database.reading() as connection:
            clip_bytes = int(connection.execute(select(func.coalesce(func.sum(clips.c.size), 0))).scalar_one())
            in_queue = {state: int(n) for state, n in connection.execute(queued)}
        hub = self._health.hub()
        for name, words, value in (
            ("labelwatch_clip_bytes", "Size of all clips kept", clip_bytes),
            ("labelwatch_notices_queued", "Notices that wait to be sent", sum(in_queue.values())),
            ("labelwatch_notices_held", "Those of them held back: quiet hours, say, or a limit", in_queue.get(HELD, 0)),
            ("labelwatch_broker_connected", "1 where the broker is there", hub.connected),
            ("labelwatch_disk_free_bytes", "Free on the disk of the data folder", hub.disk_free),
            ("labelwatch_disk_size_bytes", "Size of that disk", hub.disk_total),
            ("labelwatch_uptime_seconds", "Since the hub started", round(hub.uptime_s)),
        ):
            yield GaugeMetricFamily(name, words, value)

    def _of_integrations(self) -> Iterator[Metric]:
        if not self._link.is_wanted:
            return
        state = self._link.state
        connected = GaugeMetricFamily("labelwatch_integrations_connected", "1 where other systems can be told")
        connected.add_metric([], state.connected)
        yield connected
        for name, words, n in (
            ("messages", "Messages to other systems", state.published),
            ("dropped", "Messages to other systems that the broker did not take", state.dropped),
            ("commands_refused", "Commands of other systems that were not obeyed", state.refused),
        ):
            yield CounterMetricFamily(f"labelwatch_integrations_{name}", words, n)


def _known(kind: str, severity: str) -> tuple[str, str]:
    """What an edge said, as far as this program knows it."""
    return kind if kind in KINDS else "other", severity if severity in SEVERITIES else "other"


class Timed:
    """Middleware: measures how long each page takes, until the last byte has left.

    Args:
        app: What is measured.
        metrics: Is told.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["path"] in ENDLESS:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_timed(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                route = scope.get("route")
                self._metrics.took(getattr(route, "path", None) or NO_ROUTE, time.perf_counter() - began)

        await self.app(scope, receive, send_timed)
