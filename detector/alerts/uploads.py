"""Clips of the outbox leave for the hub by HTTP, each after its alert; the file is deleted once the hub has it.

After each clip goes its side file, in the same way.

    HEAD /api/clips/{incident}/{segment}   how much is there already (`Upload-Offset`; 404: nothing; 201: all)
    PUT  the same, with the rest           200 or 201 when the hub has it whole and its checksum fits, 202 when not yet
    .../{segment}/side                     likewise; a hub that took the clip and knows no such path is older than that

Both carry the signed claim of `wire.clip_headers`. What the hub will never take becomes a dead letter, and its file
stays; everything else is tried again, ever later. Only the hub itself has taken or refused anything: a network's login
page says 200 to whatever is put to it, a proxy 413, and then the rest goes in smaller pieces.
"""

from __future__ import annotations

import logging
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.clip_queue import Clip, ClipQueue
from detector.clock import Clock
from detector.credentials.tls import trusting, trusting_nobody
from detector.errors import LabelwatchError, StoreError
from detector.machine.tended import Tended
from detector.mqtt.connection import back_off_s

logger = logging.getLogger(__name__)

CHUNK = 256 * 1024
LEAST_PIECE = 64 * 1024  # what lets less pass at once lets no clip pass
POLL_S = 1.0
CONNECT_S = 3.0
ANSWER_S = 30.0  # the hub reads a whole clip again to check it
LONGEST_BACK_OFF_S = 60.0
LONGEST_PAUSE_S = 4.0  # between two clips while none gets through: hundreds may be due
WHOLE, MORE = (200, 201), 202
# 401, 403: the hub may not have seen our key yet. 404: it may be another server, until somebody mends the address.
# 409: another offset is expected, which the next HEAD tells.
NO_SUCH_PATH = (404, 405)
NOT_BELIEVED = 401
TOO_LARGE = 413
NO_ROOM = 507
CLOCKS_AGREE_S = 60.0  # a hub takes no claim from clocks that are a quarter of an hour apart
NOT_THE_HUB = "a proxy, a firewall or a network's login page answered, not the hub"
TRY_AGAIN = (NOT_BELIEVED, 403, 404, 408, 409, 425, 429)


class RefusedError(LabelwatchError):
    """The hub will never take this clip."""


Way = Literal["unreachable", "between", "no_room", "refused"]
"""What keeps clips: nobody answers, something else than the hub does, its disk is short, or what the log says."""


class NotNowError(LabelwatchError):
    """It did not work this time."""

    def __init__(self, reason: str, way: Way = "refused") -> None:
        super().__init__(reason)
        self.way: Way = way


class OlderHubError(LabelwatchError):
    """The hub knows no side files."""


class Carrier:
    """Brings one clip or side file to the hub.

    Args:
        hub_url: Address of the hub, e.g. `http://10.0.0.2:8080`.
        topics: Site and edge that clips are claimed for.
        key: Tells the key that signs the claims now.
        clock: Tells the time written into them.
        go_on: Called between two pieces; breaks off by raising `NotNowError`.
    """

    def __init__(
        self,
        hub_url: str,
        topics: wire.Topics,
        key: Callable[[], Ed25519PrivateKey],
        clock: Clock,
        go_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._hub_url = hub_url.rstrip("/")
        self._topics = topics
        self._key = key
        self._clock = clock
        self._go_on = go_on
        self._most = sys.maxsize  # bytes that pass at once, as far as is known

    def bring(self, client: httpx.Client, clip: Clip) -> None:
        """Return when the hub has the clip whole; what it has of it already isn't sent again.

        Raises:
            RefusedError: It never will.
            OlderHubError: It knows no side files.
            NotNowError: It does not yet.
            httpx.HTTPError: The hub is out of reach.
        """
        url = f"{self._hub_url}/api/clips/{clip.name}"
        answer = client.head(url, headers=self._headers(clip))
        if answer.status_code == 201 and _offset(answer) == clip.size:
            return
        if not clip.path.is_file():
            raise RefusedError(f"the file {clip.path} is gone")
        offset = 0
        if answer.status_code not in NO_SUCH_PATH:
            _judge(answer, self._clock)
            offset = _offset(answer)
        while offset < clip.size:
            piece = min(self._most, clip.size - offset)
            headers = {
                **self._headers(clip),
                "Content-Range": f"bytes {offset}-{offset + piece - 1}/{clip.size}",
                "Content-Length": str(piece),
                "Content-Type": "video/mp4" if clip.what is None else "application/gzip",
            }
            answer = client.put(url, headers=headers, content=self._piece(clip, offset, piece))
            if answer.status_code == TOO_LARGE and piece > LEAST_PIECE and not _is_of_hub(answer):
                self._most = max(LEAST_PIECE, piece // 2)
                continue
            if clip.what is not None and answer.status_code in NO_SUCH_PATH and _is_of_hub(answer):
                raise OlderHubError("no such path")
            _judge(answer, self._clock)
            if answer.status_code in WHOLE and _offset(answer) == clip.size:
                return
            before, offset = offset, _offset(answer)
            if offset <= before:
                raise NotNowError("the hub took none of it")
        raise NotNowError("the hub has every byte but has not said that it is whole")

    def _piece(self, clip: Clip, offset: int, left: int) -> Iterator[bytes]:
        """So many bytes of the file from `offset` on."""
        with clip.path.open("rb") as file:
            file.seek(offset)
            while left and (chunk := file.read(min(CHUNK, left))):
                self._go_on()
                left -= len(chunk)
                yield chunk
            if left:
                raise RefusedError(f"the file {clip.path} is shorter than it was")

    def _headers(self, clip: Clip) -> dict[str, str]:
        return wire.clip_headers(
            site=self._topics.site,
            edge=self._topics.edge,
            camera=clip.camera,
            incident=clip.incident,
            segment=clip.segment,
            sha256=clip.sha256,
            size=clip.size,
            started_at=clip.started_at,
            duration_s=clip.duration_s,
            at=self._clock.now(),
            key=self._key(),
            what=clip.what,
        )


class ClipUploads(Tended):
    """Brings clips to a hub that may be absent at any time.

    Args:
        clips: Of the outbox; tells what to upload.
        hub_url: Address of the hub, e.g. `http://10.0.0.2:8080`.
        topics: Site and edge that the clips are claimed for.
        key: Signs the claims.
        clock: Tells the time written into them.
        ca_file: Vouches for an https:// hub with a certificate of its own (PEM); read anew after each failure. While
            it can't be used nobody is believed to be the hub, and clips wait.
    """

    def __init__(
        self,
        clips: ClipQueue,
        hub_url: str,
        topics: wire.Topics,
        key: Ed25519PrivateKey,
        clock: Clock,
        ca_file: Path | None = None,
    ) -> None:
        super().__init__("clip-uploads")
        self._clips = clips
        self._hub_url = hub_url
        self._key = key
        self._carrier = Carrier(hub_url, topics, lambda: self._key, clock, self._go_on)
        self._ca_file = ca_file
        self._verify: bool | ssl.SSLContext
        try:
            self._verify = trust_in(hub_url, ca_file)
        except LabelwatchError as error:  # the cameras are watched all the same, and nothing is lost
            logger.error("no clip is uploaded: %s", error)
            self._verify = trusting_nobody()
        self._said_older = False
        self._clock = clock
        self._failures = 0  # in a row
        self._stuck: tuple[float, Way] | None = None  # since when none got through, and what keeps them now

    def health(self) -> dict[str, Any]:
        """Of the health message: for how long no clip got through though some were due, seconds, and why (`Way`)."""
        if (stuck := self._stuck) is None:
            return {}
        since, way = stuck
        return {"clips_stuck": {"s": round(max(0.0, self._clock.now() - since), 1), "way": way}}

    def use_key(self, key: Ed25519PrivateKey) -> None:
        """Sign claims with this key from now on."""
        self._key = key

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Break off and end; tells whether that took no longer than so many seconds. What is left goes on next time."""
        self._stopping.set()
        self._clips.new_clip.set()
        return super().stop(timeout_s)

    def _run(self, stopping: threading.Event) -> None:
        said = ""
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        with self.pulse:
            while not stopping.is_set():
                with httpx.Client(timeout=timeout, verify=self._verify, trust_env=False) as client:
                    said = self._bring_on(client, stopping, said)
                with suppress(LabelwatchError):  # it is just being replaced: the one before counts until then
                    self._verify = trust_in(self._hub_url, self._ca_file)

    def _bring_on(self, client: httpx.Client, stopping: threading.Event, said: str) -> str:
        """Upload what is due, until told to stop, or one fails where another certificate may help."""
        while not stopping.is_set():
            self.pulse.beat()
            self._clips.new_clip.clear()
            try:
                clip = self._clips.next_due()
                if clip is None:
                    self._clips.new_clip.wait(POLL_S)
                    continue
                said = self._bring(client, clip, said)
                if self._failures:
                    stopping.wait(back_off_s(self._failures, LONGEST_PAUSE_S))
                    if self._ca_file is not None:
                        break
            except StoreError as error:
                logger.error("clips can't be uploaded: %s", error)
                stopping.wait(POLL_S)
        return said

    def _bring(self, client: httpx.Client, clip: Clip, said: str) -> str:
        """Upload one clip and enter the outcome in the outbox; what was last complained of comes and goes."""
        try:
            self._carrier.bring(client, clip)
        except RefusedError as error:
            self._clips.bury(clip, str(error))
        except OlderHubError:
            if not self._said_older:
                logger.info("the hub is older than side files: none are kept for it")
            self._said_older = True
            self._clips.done(clip)
            _delete(clip)
        except (NotNowError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            away = f"the hub at {self._hub_url} can't be reached: " if isinstance(error, httpx.TransportError) else ""
            reason = str(LabelwatchError(f"{away}{error or type(error).__name__}"))
            if reason != said and not self._stopping.is_set():
                logger.warning("clip %s waits: %s", clip.name, reason)
            wait_s = back_off_s(self._clips.attempts(clip) + 1, LONGEST_BACK_OFF_S)
            self._clips.postpone(clip, wait_s)
            self._failures += 1
            way: Way = "unreachable" if isinstance(error, httpx.HTTPError) else getattr(error, "way", "refused")
            self._stuck = (self._stuck[0] if self._stuck else self._clock.now()), way
            return reason
        else:
            _delete(clip)  # first: whoever is killed now is told by the hub that it has the clip, and leaves no file
            self._clips.done(clip)
            self._said_older = self._said_older and clip.what is None
            logger.info("clip %s is with the hub", clip.name)
        self._failures = 0
        self._stuck = None
        return ""

    def _go_on(self) -> None:
        self.pulse.beat()
        if self._stopping.is_set() or self._thread is not threading.current_thread():
            raise NotNowError("stopping")


def _delete(clip: Clip) -> None:
    """The hub has it. Where the disk won't let go of it, the next one must go all the same."""
    try:
        clip.path.unlink(missing_ok=True)
    except OSError as error:
        logger.error("clip %s is with the hub, but %s can't be deleted: %s", clip.name, clip.path, error.strerror)


def trust_in(hub_url: str, ca_file: Path | None) -> bool | ssl.SSLContext:
    """Whom to believe that they are the hub.

    Raises:
        LabelwatchError: `ca_file` can't be used.
    """
    # Certificates of the whole web are 10 MB in memory, and of no use to a hub spoken to in plain HTTP.
    if not hub_url.startswith("https:") or ca_file is None:
        return hub_url.startswith("https:")
    try:
        return trusting(ca_file)
    except OSError as error:  # an SSLError is one
        raise LabelwatchError(f"hub.ca_file {ca_file} can't be used: {error.strerror or error}") from error


def _judge(answer: httpx.Response, clock: Clock) -> None:
    """Raise what an answer other than success means."""
    status = answer.status_code
    if status in WHOLE or status == MORE:
        return
    if status < 500 and not _is_of_hub(answer):
        limit = f", which lets not even {LEAST_PIECE // 1024} KB pass at once" if status == TOO_LARGE else ""
        raise NotNowError(f"{NOT_THE_HUB}: {status} {answer.reason_phrase}{limit}", "between")
    reason = f"the hub answered {status} {answer.text[:200]}".rstrip()
    if status == NOT_BELIEVED:  # mostly without a word, since a clip is asked for before it is sent
        reason += _clocks_apart(answer.headers.get("Date", ""), clock.now())
    if status == NO_ROOM and not answer.text:
        reason += ": its disk is short, and its health page says what to do"
    if 400 <= status < 500 and status not in TRY_AGAIN:
        raise RefusedError(reason)
    raise NotNowError(reason, "no_room" if status == NO_ROOM else "refused")


def _clocks_apart(date: str, now: float) -> str:
    """What to say of the hub's clock and this one; nothing where they agree as far as claims ask, or it told none."""
    try:
        ahead_s = now - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return ""
    if abs(ahead_s) < CLOCKS_AGREE_S:
        return ""
    how = "ahead of" if ahead_s > 0 else "behind"
    return f": this box's clock is {abs(ahead_s) / 60:.0f} min {how} the hub's, set the wrong one right"


def _is_of_hub(answer: httpx.Response) -> bool:
    """Whether the hub said so: by a reason in JSON and nothing else, one before side files by a page of its own.

    Proxies that answer in JSON call it by other names.
    """
    if answer.headers.get("Content-Type", "") != "application/json":
        return "labelwatch" in answer.text
    try:
        return not answer.content or set(answer.json()) <= {"reason"}
    except (ValueError, TypeError):
        return False


def _offset(answer: httpx.Response) -> int:
    text = answer.headers.get("Upload-Offset", "")
    if not text.isdecimal():
        raise NotNowError(f"{NOT_THE_HUB}: {answer.status_code} {answer.reason_phrase}", "between")
    return int(text)
