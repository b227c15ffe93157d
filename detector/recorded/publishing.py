"""What a replay found leaves for the hub: the folder of its results enters; incidents and clips are sent, each once.

    OUT/incidents.jsonl ─► envelopes, signed ─► POST ─► the hub's answer ─► OUT/published.jsonl ─► clips, side files

`published.jsonl` says of every incident what became of it, a line each time. Whoever breaks off between two lines sends
the last again; the hub knows it by its id. Nothing is changed or deleted in OUT, so it can be sent at any later time.
The key is that of the edge whose configuration it is, read anew each time, since a worker that runs beside may be given
another one meanwhile.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.alerts.identity import FILE_NAME, load_identity
from detector.alerts.trust import HubTrust
from detector.alerts.uploads import (
    NO_SUCH_PATH,
    NOT_BELIEVED,
    Carrier,
    NotNowError,
    OlderHubError,
    RefusedError,
    trust_in,
)
from detector.clock import Clock, iso, unix
from detector.config import EdgeConfig
from detector.errors import ConfigError, LabelwatchError, Problem, WireError
from detector.machine.whole_files import sha256_of
from detector.media.sides import read_side
from detector.mqtt.connection import back_off_s
from detector.recorded.ledger import LEDGER, Ledger
from detector.values import Phase
from detector.wire.replays import (
    DOUBLE,
    KNOWN,
    MOST,
    NEW,
    PATH,
    REFUSED,
    Answer,
    bringer_headers,
    envelope_id,
    marked,
    read_answers,
)

AT_ONCE = min(50, MOST)
BYTES_AT_ONCE = 3 * 2**18  # a proxy before the hub takes no more than 1 MiB where nobody told it otherwise
TRIES = 4
LONGEST_BACK_OFF_S = 8.0
CONNECT_S = 5.0
ANSWER_S = 60.0
AGAIN_LATER = (408, 425, 429, 500, 502, 503, 504)
WANTED, SENT, GIVEN_UP = "wanted", "sent", "given up"

Progress = Callable[[int, int], None]
T = TypeVar("T")


class NotPublished(LabelwatchError):  # noqa: N818  (what happened)
    """The hub isn't there, or doesn't take it; nothing is lost. `report` is what was done until then."""

    def __init__(self, message: object) -> None:
        super().__init__(message)
        self.report = Published()


@dataclass(slots=True)
class Published:
    """What came of publishing.

    Attributes:
        sent: Incidents that are new at the hub.
        confirmed: Those that the hub knew from live, or from another replay: it shows that one, and says so.
        known: Those that it had from us before.
        refused: Names of what it won't take, and why.
        clips: How many clips were brought.
        left: How many incidents and clips are still to be sent.
    """

    sent: int = 0
    confirmed: int = 0
    known: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    clips: int = 0
    left: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sent": self.sent, "confirmed": self.confirmed, "known": self.known, "clips": self.clips, "left": self.left,
            "refused": [{"id": name, "why": why} for name, why in self.refused],
        }  # fmt: skip

    def words(self) -> str:
        """One line for people."""
        told = [f"{self.sent} sent", f"{self.confirmed} confirm what was found before", f"{self.known} known already"]
        told += [f"{len(self.refused)} refused", "one clip" if self.clips == 1 else f"{self.clips} clips"]
        return "to the hub: " + ", ".join(told) + (f"; {self.left} still to be sent" if self.left else "")


def publish(out: Path, config: EdgeConfig, clock: Clock, progress: Progress = lambda done, of: None) -> Published:
    """Send what a replay found.

    Args:
        out: Folder of its results.
        config: Whose site, edge, key and hub it is sent by.
        clock: Tells the time.
        progress: Told how many incidents and clips are done, and of how many.

    Raises:
        ConfigError: The configuration names no hub, or this machine never joined one.
        NotPublished: The hub isn't there, or takes none of it.
        LabelwatchError: The results can't be read.
        OSError: Likewise, or `out` can't be written.
    """
    return _Publishing(out, config, clock, progress).run()


def check_ready(config: EdgeConfig) -> None:
    """See whether this machine can publish at all, before a night of work.

    Raises:
        ConfigError: The configuration names no hub, or this machine never joined one.
    """
    if config.hub.url is None:
        hint = "the address of its page, e.g. http://10.0.0.2:8080"
        raise ConfigError([Problem("--publish", "hub.url", "the configuration names no hub", hint)])
    if not (config.data_dir / FILE_NAME).is_file():
        hint = "labelwatch join HUB_URL --config CONFIG"
        raise ConfigError([Problem("--publish", "data_dir", f"{config.data_dir} has no key: join the hub first", hint)])


def announce(config: EdgeConfig, clock: Clock) -> None:
    """Tell the hub, before a night of work, that replays are published from here, and no cameras watched.

    Else it misses a machine that joined and says nothing, until it brings something; what finds nothing never would.
    A hub that isn't there, or is older, is no matter.
    """
    hub, site, edge = str(config.hub.url).rstrip("/"), config.site, config.edge
    verify = trust_in(hub, config.hub.ca_file)
    with suppress(httpx.HTTPError), httpx.Client(timeout=CONNECT_S, verify=verify, trust_env=False) as client:
        headers = bringer_headers(site, edge, clock.now(), load_identity(config.data_dir))
        client.post(hub + PATH.format(site=site, edge=edge), headers=headers)


def how_to_go_on(out: Path, config_file: Path) -> str:
    """The command that sends later what is left."""
    return f"labelwatch replay --publish --config {shlex.quote(str(config_file))} --out {shlex.quote(str(out))}"


def read_results(out: Path) -> list[dict[str, Any]]:
    """Incidents of a replay, as it wrote them.

    Raises:
        LabelwatchError: There are none that can be read.
    """
    file = out / "incidents.jsonl"
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # a name may hold what else ends lines
    except FileNotFoundError as error:
        raise LabelwatchError(f"{file} isn't there: there is nothing to be published yet") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelwatchError(f"{file} can't be read: {error}") from error
    found = []
    for number, line in enumerate(filter(None, lines), 1):
        try:
            found.append(json.loads(line))
            _after(found[-1], "", "", "")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabelwatchError(f"{file}, line {number}: not an incident that a replay wrote") from error
    return found


class _Publishing:
    def __init__(self, out: Path, config: EdgeConfig, clock: Clock, progress: Progress) -> None:
        check_ready(config)
        self._out, self._config, self._clock, self._progress = out, config, clock, progress
        self._hub = str(config.hub.url).rstrip("/")
        self._topics = wire.Topics(config.site, config.edge)
        self._trust = HubTrust(clock, config.data_dir)
        self._records = {record["id"]: record for record in read_results(out)}
        self._ledger = Ledger(out / LEDGER, self._trust.hub_key)
        self._titles = {camera.name: camera.title or camera.name for camera in config.cameras}
        self._carrier = Carrier(self._hub, self._topics, lambda: load_identity(config.data_dir), clock)
        self._report = Published()
        self._done = self._all = 0
        self._seq = 0

    def run(self) -> Published:
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        verify = trust_in(self._hub, self._config.hub.ca_file)
        told = {record["id"]: self._fields(record) for record in self._records.values()}
        unsent = {name: fields for name, fields in told.items() if self._ledger.of(name, fields["id"]) is None}
        self._report.known = len(told) - len(unsent)
        self._all = len(unsent) + len(self._wanted(told))
        with httpx.Client(timeout=timeout, verify=verify, trust_env=False) as client:
            try:
                for batch in self._batches(unsent):
                    self._post(client, batch)
                for name, line in self._wanted(told).items():
                    self._bring(client, self._records[name], line)
            except NotPublished as stopped:
                sent = sum(self._ledger.of(name, fields["id"]) is not None for name, fields in told.items())
                self._report.left = len(told) - sent + len(self._wanted(told))
                stopped.report = self._report
                raise
        return self._report

    # Incidents

    def _fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """An envelope but for its picture, the time and the signature."""
        config = self._config
        title = self._titles.get(record["camera"], record["camera"])
        told = {
            "schema": wire.SCHEMA, "site": config.site, "edge": config.edge, "camera": record["camera"],
            "phase": Phase.END.value, "notify": False, "before": None,
            "after": marked(
                _after(record, config.site, config.edge, title), run=self._ledger.run, edge=config.edge,
                file=record.get("file"), offset_s=record.get("start_offset_s"),
                picture_at=unix(record["snapshot_at"]) if record.get("snapshot_at") else None,
            ),
            "clips": [],
        }  # fmt: skip
        return {**told, "id": self._id(envelope_id(told), record)}

    def _id(self, id_: str, record: Mapping[str, Any]) -> str:
        """Of an envelope: another one where the hub still wants a clip that was cut anew since it was promised."""
        line, clip = self._ledger.of(record["id"], id_), self._announced(record)
        if line is None or clip is None or line["clip"] != WANTED or line.get("sha256") in (None, clip["sha256"]):
            return id_
        return hashlib.sha256(f"{id_}|{clip['sha256']}".encode()).hexdigest()[:32]

    def _batches(self, unsent: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, tuple[str, bytes]]]:
        """Some envelopes at a time: id and signed line of each, by the incident's id."""
        batch: dict[str, tuple[str, bytes]] = {}
        size = 0
        for name, fields in unsent.items():
            line = self._signed(fields, self._records[name])
            if batch and (len(batch) >= AT_ONCE or size + len(line) > BYTES_AT_ONCE):
                yield batch
                batch, size = {}, 0
            batch[name] = fields["id"], line
            size += len(line)
        if batch:
            yield batch

    def _signed(self, fields: dict[str, Any], record: Mapping[str, Any]) -> bytes:
        now, key = self._clock.now(), self._key()
        self._seq = max(self._seq + 1, round(now * 1000))
        picture = self._file(record.get("snapshot"))
        whole = {
            **fields,
            "snapshot": base64.b64encode(picture.read_bytes()).decode() if picture else None,
            "clips": [clip] if (clip := self._announced(record)) else [],
            "epoch": self._ledger.run, "seq": self._seq, "sent_at": iso(now), "sent_at_unix": round(now, 3),
            "key": wire.public_key_text(key),
        }  # fmt: skip
        return wire.encode(wire.signed(wire.decode(wire.encode(whole)), key)) + b"\n"

    def _key(self) -> Ed25519PrivateKey:
        return load_identity(self._config.data_dir)  # which may be replaced meanwhile

    def _post(self, client: httpx.Client, batch: Mapping[str, tuple[str, bytes]]) -> None:
        """Send some envelopes, and put on record what the hub says of each."""
        url = self._hub + PATH.format(site=self._config.site, edge=self._config.edge)
        body = b"".join(line for _, line in batch.values())

        def send() -> httpx.Response:
            who = bringer_headers(self._config.site, self._config.edge, self._clock.now(), self._key())
            answer = client.post(url, content=body, headers={"Content-Type": "application/x-ndjson", **who})
            if answer.status_code in AGAIN_LATER:
                raise NotNowError(f"the hub answered {answer.status_code}")
            return answer

        answer = self._tried(send)
        if answer.status_code in NO_SUCH_PATH:
            raise NotPublished(f"{self._hub} is no hub that takes replays: is it older than this labelwatch?")
        if answer.status_code != 200:
            join = f" (let this machine join: labelwatch join {self._hub} --config CONFIG)"
            hint = join if answer.status_code == NOT_BELIEVED else ""
            raise NotPublished(f"{self._hub} takes none of it: {_reason(answer)}{hint}")
        found = {one.id: one for one in self._believed(answer.content)}
        nothing = "the hub did not believe it"
        lines = []
        for name, (envelope, _) in batch.items():
            told = found.get(envelope) or Answer(envelope, REFUSED, why=nothing)
            self._count(name, told)
            lines.append(self._line(name, told))
        self._ledger.add(*lines)

    def _believed(self, content: bytes) -> list[Answer]:
        if not self._trust.believes(self._topics.ack, content):
            raise NotPublished(f"the answer of {self._hub} is not believed: {self._trust.reason}")
        try:
            return read_answers(content)
        except WireError as error:
            raise NotPublished(f"{self._hub}: {error}") from error

    def _line(self, name: str, told: Answer) -> dict[str, Any]:
        clip = self._announced(self._records[name])
        return {
            "incident": name, "envelope": told.id, "hub": self._trust.hub_key, "outcome": told.outcome,
            "shown": told.shown, "why": told.why, "at": iso(self._clock.now()),
            "clip": WANTED if told.wants_clip and clip else None, "sha256": clip and clip["sha256"],
        }  # fmt: skip

    def _count(self, name: str, told: Answer) -> None:
        report = self._report
        report.sent += told.outcome == NEW
        report.confirmed += told.outcome == DOUBLE
        report.known += told.outcome == KNOWN
        if told.outcome == REFUSED:
            report.refused.append((name, told.why))
        self._all += told.wants_clip and self._announced(self._records[name]) is not None
        self._advance()

    def _advance(self) -> None:
        self._done += 1
        self._progress(self._done, self._all)

    # Clips

    def _wanted(self, told: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        lines = {name: self._ledger.of(name, fields["id"]) for name, fields in told.items()}
        return {name: line for name, line in lines.items() if line and line.get("clip") == WANTED}

    def _announced(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the envelope says of the clip; `None` where there is none, or nobody knows when it begins."""
        clip = self._file(record.get("clip"))
        if clip is None or not record.get("clip_started_at") or not record.get("clip_duration_s"):
            return None
        at = unix(record["clip_started_at"])
        told = {
            "segment": 0, "sha256": sha256_of(clip), "bytes": clip.stat().st_size, "started_at": iso(at),
            "started_at_unix": at, "duration_s": record["clip_duration_s"],
        }  # fmt: skip
        side = self._side(record)
        return told | ({"side_sha256": hashlib.sha256(side).hexdigest()} if side else {})

    def _side(self, record: Mapping[str, Any]) -> bytes | None:
        """The side file as the hub takes it: of the incident as that knows it."""
        path = self._file(record.get("side"))
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                fields = read_side(file)
        except WireError:
            return None
        own = marked({"id": record["id"]}, run="", edge=self._config.edge)["id"]
        body = json.dumps({**fields, "incident": own}, separators=(",", ":"), ensure_ascii=False)
        return gzip.compress(body.encode(), compresslevel=3, mtime=0)

    def _bring(self, client: httpx.Client, record: Mapping[str, Any], line: Mapping[str, Any]) -> None:
        """Bring a clip and its side file, and put on record what came of it."""
        told, path, side = self._announced(record), self._file(record["clip"]), self._side(record)
        outcome, why = SENT, ""
        own = marked({"id": record["id"]}, run="", edge=self._config.edge)["id"]
        if told is None or path is None:
            outcome, why = GIVEN_UP, "the clip is gone"
        else:
            span = told["started_at_unix"], told["duration_s"]
            clip = Clip(own, 0, record["camera"], path, told["sha256"], told["bytes"], *span)
            try:
                self._tried(lambda: self._carrier.bring(client, clip))
                if side is not None:
                    self._bring_side(client, own, record["camera"], side, span)
                self._report.clips += 1
            except RefusedError as error:
                outcome, why = GIVEN_UP, str(error)
        if why:
            self._report.refused.append((f"{record['id']}: clip", why))
        self._ledger.add({**line, "clip": outcome, "why": why or line.get("why", "")})
        self._advance()

    def _bring_side(
        self, client: httpx.Client, incident: str, camera: str, content: bytes, span: tuple[float, float]
    ) -> None:
        with tempfile.NamedTemporaryFile(suffix=".side.json.gz") as file:
            file.write(content)
            file.flush()
            sha256 = hashlib.sha256(content).hexdigest()
            side = Clip(incident, 0, camera, Path(file.name), sha256, len(content), *span, wire.SIDE)
            with suppress(OlderHubError):
                self._tried(lambda: self._carrier.bring(client, side))

    def _file(self, name: object) -> Path | None:
        """A file of the results, when it is there; never one from elsewhere."""
        path = (self._out / str(name)).resolve() if name else None
        return path if path and path.is_relative_to(self._out.resolve()) and path.is_file() else None

    def _tried(self, what: Callable[[], T]) -> T:
        """Do something with the hub, some times where it isn't there.

        Raises:
            NotPublished: It isn't.
        """
        for failures in range(1, TRIES + 1):
            try:
                return what()
            except (httpx.HTTPError, NotNowError) as error:
                if failures == TRIES:
                    said = str(error) or type(error).__name__
                    raise NotPublished(f"the hub at {self._hub} can't be reached: {said}") from error
                self._clock.sleep(back_off_s(failures, LONGEST_BACK_OFF_S))
        raise AssertionError


def _after(record: Mapping[str, Any], site: str, edge: str, title: str) -> dict[str, Any]:
    """An incident as live would tell it (`wire.incident_record`), from the line that a replay wrote."""
    started_at, ended_at = unix(record["started_at"]), unix(record["ended_at"])
    start = started_at - record["start_offset_s"]
    same = ("id", "camera", "kind", "severity", "sentence", "score", "zone", "tracks", "labels_exposed", "facts")
    return {
        **{name: record[name] for name in same},
        **({"spot": record["spot"]} if record.get("spot") else {}),
        "site": site,
        "edge": edge,
        "camera_title": title,
        "findings": record.get("findings", [record["kind"]]),
        "started_at": iso(started_at),
        "ended_at": iso(ended_at),
        "started_at_unix": started_at,
        "ended_at_unix": ended_at,
        "acts": [_act(act, start) for act in record["acts"]],
        "boxes": [],
    }


def _act(act: Mapping[str, Any], start: float) -> dict[str, Any]:
    begin, end = (round(start + act[name], 3) for name in ("start_offset_s", "end_offset_s"))
    times = {"started_at": iso(begin), "ended_at": iso(end), "started_at_unix": begin, "ended_at_unix": end}
    return {**{name: act[name] for name in ("kind", "track", "score", "parcels")}, **times}


def _reason(answer: httpx.Response) -> str:
    try:
        told: Sequence[str] | str = answer.json()["reason"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
    return str(told)[:300]
