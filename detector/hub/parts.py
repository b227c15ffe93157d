"""What the hub is made of: everything that keeps or does something, built once and given to all pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.clock import Clock
from detector.config import HubConfig
from detector.credentials.keys import load_key
from detector.hub.access.anchors import Anchors
from detector.hub.access.audit import Audit
from detector.hub.access.auth import Gate
from detector.hub.access.people import People
from detector.hub.desk.overview import Overview
from detector.hub.desk.presence import Presence
from detector.hub.desk.responses import Responses
from detector.hub.desk.reviews import Reviews
from detector.hub.desk.walk_tests import WalkTests
from detector.hub.edges.census import Censuses
from detector.hub.edges.enrolment import Enrolment
from detector.hub.edges.keys import EdgeKeys
from detector.hub.edges.pictures import Pictures
from detector.hub.edges.proposals import Proposals
from detector.hub.edges.rotation import Rotations
from detector.hub.edges.thresholds import Thresholds
from detector.hub.edges.zones import Zones
from detector.hub.events import Live
from detector.hub.evidence.cases import Cases
from detector.hub.evidence.pack import Archive
from detector.hub.evidence.packs import Packs
from detector.hub.footage.clips import ClipFolder
from detector.hub.footage.derived import Copies
from detector.hub.integrations.link import Link, link_of
from detector.hub.integrations.links import PictureLinks
from detector.hub.integrations.switches import Switches
from detector.hub.integrations.world import Observer
from detector.hub.lan import Certificate
from detector.hub.metrics import Metrics
from detector.hub.notices.pauses import Pauses
from detector.hub.notices.queue import Notices
from detector.hub.notices.sender import NoticeSender
from detector.hub.replay_intake import ReplayIntake
from detector.hub.storage.budget import Budget, budget_of
from detector.hub.storage.changes import Cursors
from detector.hub.storage.store import Store
from detector.hub.upkeep.retention import Retention
from detector.hub.upkeep.salvage import mark_damaged
from detector.hub.watch.alarms import Alarms
from detector.hub.watch.health import Health
from detector.hub.watch.watchman import Watchman

MIB = 2**20
HUB_KEY = "hub.key"  # what the hub says to edges is signed with it


@dataclass(frozen=True, slots=True)
class Parts:
    """What there is."""

    config: HubConfig
    store: Store
    gate: Gate
    audit: Audit
    anchors: Anchors
    clips: ClipFolder
    live: Live
    clock: Clock
    reviews: Reviews
    responses: Responses
    presence: Presence
    health: Health
    alarms: Alarms
    watchman: Watchman
    retention: Retention
    metrics: Metrics
    notices: Notices
    sender: NoticeSender
    thresholds: Thresholds
    zones: Zones
    proposals: Proposals
    pictures: Pictures
    censuses: Censuses
    copies: Copies
    packs: Packs
    pauses: Pauses
    links: PictureLinks
    integrations: Link
    key: Ed25519PrivateKey
    keys: EdgeKeys
    enrolment: Enrolment
    rotations: Rotations
    replays: ReplayIntake
    cursors: Cursors
    tell: Callable[[], None] = lambda: None
    ask: Callable[[str, bytes], None] = lambda _topic, _payload: None
    certificate: Certificate | None = None

    @property
    def people(self) -> People:
        """Who there is."""
        return self.gate.people

    @property
    def cases(self) -> Cases:
        """Incidents that belong together, and what is kept."""
        return Cases(self.store.database, self.audit)

    @property
    def walk_tests(self) -> WalkTests:
        """What cameras found when somebody tried them."""
        return WalkTests(self.store.database, self.audit)

    @property
    def overview(self) -> Overview:
        """How much of what there is."""
        return Overview(self.store.database)

    @property
    def budget(self) -> Budget:
        """How many alerts a shift takes."""
        return budget_of(self.config)


def assemble(
    config: HubConfig,
    store: Store,
    clock: Clock,
    gate: Gate,
    live: Live,
    *,
    connected: Callable[[], bool] = lambda: True,
    tell: Callable[[], None] = lambda: None,
    ask: Callable[[str, bytes], None] = lambda _topic, _payload: None,
    certificate: Certificate | None = None,
) -> Parts:
    """Build all parts; those with threads of their own are started by who runs the hub.

    Args:
        config: `data_dir` must exist.
        store: The database.
        clock: Tells the time.
        gate: Checks logins.
        live: Tells open pages of changes; whoever writes to the store pokes it.
        connected: Whether the broker has us.
        tell: Called when commands to edges have changed.
        ask: Given topic and payload of what is to be sent to an edge once, if it can be reached now.
        certificate: Of the server, when it is one of our own.

    Raises:
        OSError: A key can't be kept in `data_dir`.
    """
    folder, reserve = config.data_dir / "clips", round(config.retention.reserve_gb * 1e9)
    audit = Audit(store.database)
    copies = Copies(folder, store, clock, config.timezone, reserve)

    def arrived(_incident: str) -> None:
        live.poke()
        copies.arrived()

    clips = ClipFolder(folder, store, clock, config.largest_clip_mb * MIB, arrived, reserve // 4, reserve)
    health = Health(store, clock, config.data_dir, connected, reserve)
    notices = Notices(store.database, config.data_dir, config.timezone)
    packs_key = load_key(config.data_dir / "evidence.key", "the key of evidence packs")
    archive = Archive(store, clips, packs_key, config.timezone)
    pauses, links = Pauses(store.database, audit), PictureLinks(config.public_url)
    switches = Switches(pauses, config.integrations.home_assistant.pause_hours)
    keys, alarms = EdgeKeys(store.database, first_sight=config.enrolment == "first_sight"), Alarms(store.database)
    link = link_of(config, Observer(store, health, keys, pauses, budget_of(config)), switches, links, clock)
    sender = NoticeSender(notices, store, config, clock)

    def damaged(what: str) -> None:
        mark_damaged(config.data_dir, what)

    key = load_key(config.data_dir / HUB_KEY, "the hub's key")
    watchman = Watchman(
        alarms, store, keys, health, config.alarms, clock, reserve, sender.poke, damaged, wire.public_key_text(key),
        config.certificates,
    )  # fmt: skip
    kept = Retention(store.database, folder, config.retention, audit, waiting=clips.waiting)
    return Parts(
        config, store, gate, audit, Anchors(audit, config.data_dir, clock), clips, live, clock,
        reviews=Reviews(store.database), responses=Responses(store.database), presence=Presence(),
        health=health, alarms=alarms, watchman=watchman,
        retention=kept, replays=ReplayIntake(store, keys, key, kept, audit, clock, live.poke),
        metrics=Metrics(store, health, keys, clock, alarms, link),
        notices=notices, sender=sender, thresholds=Thresholds(store.database), zones=Zones(store.database),
        proposals=Proposals(store.database),
        pictures=Pictures(store.database), censuses=Censuses(store.database), copies=copies,
        packs=Packs(config.data_dir / "packs", archive, audit, clock, reserve), tell=tell, ask=ask,
        pauses=pauses, links=links, integrations=link,
        key=key, certificate=certificate,
        keys=keys,
        enrolment=Enrolment(store.database, audit), rotations=Rotations(store.database, audit),
        cursors=Cursors(config.data_dir),
    )  # fmt: skip
