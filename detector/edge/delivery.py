"""The way from an edge to its hub: a configuration enters; a running outbox, link and uploads leave, ready for use."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.clock import Clock
from detector.config import EdgeConfig
from detector.edge.watchdog import Part
from detector.edge.zoned import Zoned
from detector.errors import StoreError, WireError
from detector.machine.whole_files import finish_together
from detector.tuned import Tuned

if TYPE_CHECKING:
    from detector.alerts.films import CameraFilms
    from detector.alerts.mqtt import MqttLink
    from detector.alerts.outbox import Outbox
    from detector.alerts.pictures import CameraPictures
    from detector.alerts.rotation import KeyRotation
    from detector.alerts.tidy import Tidy
    from detector.alerts.trust import HubTrust
    from detector.alerts.uploads import ClipUploads

logger = logging.getLogger(__name__)

LINK_STUCK_S = 60.0  # to look up a name that nobody knows, and to wait for a broker that says nothing, takes most of it
UPLOADS_STUCK_S = 120.0  # a slow hub may take and give 30 s each for one piece
TIDY_STUCK_S = 300.0  # thousands of clips to delete from a slow disk


@dataclass(frozen=True)
class Delivery:
    """The way to the hub and back: what goes out by it, and what people there have set."""

    outbox: Outbox
    link: MqttLink
    uploads: ClipUploads | None
    tidy: Tidy
    tuned: Tuned
    zoned: Zoned
    pictures: Mapping[str, CameraPictures]
    films: Mapping[str, CameraFilms]
    topics: wire.Topics
    rotation: KeyRotation
    trust: HubTrust

    @property
    def key(self) -> Ed25519PrivateKey:
        """What this edge signs with now."""
        return self.rotation.key

    def parts(self) -> list[Part]:
        """What must get on, and is given a new thread when it doesn't."""
        link, uploads, tidy = self.link, self.uploads, self.tidy
        parts = [
            Part("link", (link.pulse,), lambda: link.running, LINK_STUCK_S, link.start),
            Part("tidy", (tidy.pulse,), lambda: tidy.running, TIDY_STUCK_S, tidy.start),
        ]
        if uploads is not None:
            parts.append(Part("uploads", (uploads.pulse,), lambda: uploads.running, UPLOADS_STUCK_S, uploads.start))
        return parts

    def stop_uploads(self) -> None:
        """Have a clip under way broken off, without waiting for it."""
        if self.uploads is not None:
            self.uploads.stop(0.0)


@contextmanager
def open_delivery(config: EdgeConfig, clock: Clock) -> Iterator[Delivery]:
    """The outbox and what empties it, running, and the commands that come in by the same way."""
    from detector.alerts.films import CameraFilms
    from detector.alerts.identity import load_identity
    from detector.alerts.mqtt import MqttLink
    from detector.alerts.outbox import Outbox
    from detector.alerts.outbox_file import NAME
    from detector.alerts.pictures import CameraPictures
    from detector.alerts.rotation import KeyRotation
    from detector.alerts.serials import Serials
    from detector.alerts.tidy import Tidy
    from detector.alerts.trust import HubTrust
    from detector.alerts.uploads import ClipUploads

    _make_ready(config.data_dir)
    key = load_identity(config.data_dir)
    topics = wire.Topics(config.site, config.edge)
    with ExitStack() as stack:
        outbox = Outbox(config.data_dir / NAME, key, clock=clock, buffers=config.buffers)
        stack.callback(outbox.close)
        tidy = Tidy(outbox, config.data_dir / "clips", config.buffers, clock)
        tidy.start()
        stack.callback(tidy.stop, 0.3)
        tuned, zoned = Tuned(config), Zoned(config, clock)
        pictures: dict[str, CameraPictures] = {}
        films = {camera.name: CameraFilms() for camera in config.cameras}
        commands = {
            topics.thresholds: tuned.accept,
            topics.zones: zoned.accept,
            topics.ask_picture: lambda payload: _ask_picture(pictures, payload),
            topics.ask_film: lambda payload: _ask_film(films, payload),
        }
        trust = HubTrust(clock, config.data_dir)
        _say_what_lacks(config, trust)
        link = MqttLink(outbox, topics, config.broker, clock, key, commands, trust, Serials(clock, config.data_dir))
        uploads = None
        if config.hub.url:
            uploads = ClipUploads(outbox.clips, config.hub.url, topics, key, clock, config.hub.ca_file)

        def use(new: Ed25519PrivateKey) -> None:
            outbox.use_key(new)  # first: see `KeyRotation`
            link.use_key(new)
            if uploads is not None:
                uploads.use_key(new)

        rotation = KeyRotation(config.data_dir, topics, key, link.publish_key, use)
        commands[topics.rotate] = rotation.accept

        def pictures_of(camera: str) -> CameraPictures:
            def send(large: bool, jpeg: bytes, at: float) -> None:
                signer = rotation.key
                link.publish_picture(wire.picture_payload(topics, camera, jpeg, large=large, taken_at=at, key=signer))

            return CameraPictures(send)

        pictures |= {camera.name: pictures_of(camera.name) for camera in config.cameras}
        link.start()
        stack.callback(link.stop, 1.0)
        if uploads is not None:
            uploads.start()
            stack.callback(uploads.stop, 0.5)
        yield Delivery(outbox, link, uploads, tidy, tuned, zoned, pictures, films, topics, rotation, trust)


def _make_ready(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # footage lies there
        finish_together(data_dir)  # `join` was cut off
    except OSError as error:
        hint = "make it, and give it to the user that runs this"
        raise StoreError(f"data_dir {data_dir} can't be made: {error.strerror} ({hint})") from error


def _say_what_lacks(config: EdgeConfig, trust: HubTrust) -> None:
    """Say in the log what is still to be done before the hub hears of this edge."""
    if trust.hub_key is None:
        logger.warning("this edge has joined no hub yet (labelwatch join): what it has to say waits in its outbox")
    elif config.unused_certificate:
        logger.warning("the lines that `labelwatch join` printed aren't in the configuration: see labelwatch check")


def _ask_picture(pictures: Mapping[str, CameraPictures], payload: bytes) -> None:
    try:
        camera, large = wire.asked_picture(payload)
    except WireError as error:
        logger.warning("a wish for a picture was not understood: %s", error)
        return
    if camera in pictures:
        pictures[camera].ask(large=large)


def _ask_film(films: Mapping[str, CameraFilms], payload: bytes) -> None:
    try:
        camera, name, seconds = wire.asked_film(payload)
    except WireError as error:
        logger.warning("a wish for a film was not understood: %s", error)
        return
    if camera in films:
        films[camera].ask(name, seconds)
