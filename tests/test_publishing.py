"""`replay --publish`, end to end: a real clip, hub and broker, a live link beside, and a phone that stays still."""

from __future__ import annotations

import json
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from detector import wire
from detector.alerts.identity import load_identity
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.alerts.uploads import Carrier, NotNowError
from detector.cli import main
from detector.clock import SystemClock, iso
from detector.config import Broker, HubConfig
from detector.errors import LabelwatchError
from detector.hub.desk.charts import evidence as promised
from detector.hub.notices.rules import Rule
from detector.hub.notices.services import check
from detector.hub.replay_intake import STRANGERS
from detector.hub.storage.stored import StoredIncident
from detector.recorded.ledger import LEDGER
from detector.recorded.publishing import Published, _after, read_results
from detector.values import IncidentKind
from tests.conftest import REPOSITORY
from tests.hub.conftest import make_hub
from tests.parts_link import Link
from tests.parts_mosquitto import Mosquitto, soon

CLIP = REPOSITORY / "tests" / "clips" / "patch_18_up.mp4"
KINDS = tuple(kind.value for kind in IncidentKind)
AGO_S = 600.0  # recent enough for a live alert of it to ring at once


def configured(folder: Path, url: str = "http://127.0.0.1:9", port: int = 1883, edge: str = "box1") -> Path:
    """A configuration whose box has a key."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "edge.yaml"
    file.write_text(
        f"site: shanghai\nedge: {edge}\nbroker: {{port: {port}}}\nhub: {{url: '{url}'}}\n"
        "cameras:\n  - name: cam3\n    title: 东区 3 号机\n    source: rtsp://127.0.0.1/3\n"
        "    zones: [{name: bulk, kind: storage, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]], spot: cage}]\n",
        encoding="utf-8",
    )
    load_identity(folder / "data")
    return file


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a replay of a short clip leaves; minutes old, so that nothing but its mark keeps phones silent."""
    folder = tmp_path_factory.mktemp("replay")
    shutil.copy(CLIP, folder / "cam3.mp4")
    start = iso(time.time() - AGO_S)
    arguments = ["replay", str(folder / "cam3.mp4"), "--config", str(configured(folder)), "--start", start]
    assert main([*arguments, "--out", str(folder / "out")]) == 0
    assert read_results(folder / "out"), "there must be something to be published"
    return folder / "out"


@pytest.fixture
def out(results: Path, tmp_path: Path) -> Path:
    """A copy that nobody published yet."""
    return Path(shutil.copytree(results, tmp_path / "out"))


class Phone:
    """A webhook that is called for notices; `got` is what it was told."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


class Office:
    """A broker, a hub, and somebody's phone that is told of everything."""

    def __init__(self, folder: Path) -> None:
        self.broker = Mosquitto(folder)
        self.broker.start()
        self.phone = Phone()
        check(self.phone.address)  # as the page does; it loads a hundred services, and on a busy machine takes its time
        settings: dict[str, Any] = {"retention": {"reserve_gb": 0}, "enrolment": "first_sight"}
        config = HubConfig(data_dir=folder / "hub", broker=Broker(port=self.broker.port), **settings)
        self.hub = make_hub(config)
        self.hub.start()
        self.store = self.hub.store
        notices = self.hub._parts.notices
        with self.store.database.writing() as connection:
            target = notices.targets.add(
                connection, "phone", "webhook", "zh", address=self.phone.address, user="owner", at=0.0
            )  # fmt: skip
            notices.targets.add_rule(connection, Rule("info", KINDS, target=target, user="owner", per_hour=1000))

    def shown(self) -> list[StoredIncident]:
        """What the feed lists."""
        return self.store.feed(limit=100)

    def close(self) -> None:
        """End."""
        self.hub.stop()
        self.phone.close()
        self.broker.kill()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """One that is open."""
    office = Office(tmp_path)
    yield office
    office.close()


@contextmanager
def watching(office: Office, file: Path) -> Iterator[Outbox]:
    """The outbox of a live worker of the same box, whose link stands as long as this lasts."""
    folder, topics, clock = file.parent / "data", wire.Topics("shanghai", "box1"), SystemClock()
    key = load_identity(folder)
    outbox = Outbox(folder / "outbox.db", key, clock=clock)
    link = MqttLink(outbox, topics, Broker(port=office.broker.port), clock, key)
    link.start()
    try:
        assert soon(lambda: link.connected)
        yield outbox
        assert soon(lambda: link.connected)
    finally:
        link.stop()
        outbox.close()


def told_live(record: dict[str, Any]) -> dict[str, Any]:
    """What a live worker would have told of it, for its outbox."""
    after = _after(record, "shanghai", "box1", "东区 3 号机")
    return {
        "schema": 1, "site": "shanghai", "edge": "box1", "camera": "cam3", "phase": "end", "notify": True,
        "before": None, "after": after, "snapshot": None, "clips": [],
    }  # fmt: skip


def published(out: Path, file: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    """What the command says that it did."""
    capsys.readouterr()
    assert main(["replay", "--publish", "--json", "--config", str(file), "--out", str(out)]) == code
    return dict(json.loads(capsys.readouterr().out)["published"])


def test_a_replay_is_in_the_feed_once_while_live_goes_on_and_no_phone_rings(
    office: Office, out: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path / "box", office.hub.url, office.broker.port)
    records = read_results(out)
    with watching(office, file) as outbox:
        first = published(out, file, capsys)
        assert (first["sent"], first["known"], first["left"], first["refused"]) == (len(records), 0, 0, [])
        assert first["clips"] == sum(bool(record["clip"]) for record in records) > 0
        assert all(one.replayed_at and one.snapshot for one in office.shown())
        assert [one.spot for one in office.shown()] == [record["spot"] for record in records] == ["cage"] * len(records)
        assert office.store.with_clips([one.id for one in office.shown()])
        clip = office.store.clips(office.shown()[0].id)[0]
        assert office.hub._parts.clips.find_side(clip.incident, 0), "with what was seen in it"
        again = published(out, file, capsys)
        assert (again["sent"], again["known"], again["clips"]) == (0, len(records), 0)
        afresh = shutil.copytree(results, tmp_path / "afresh")  # as if replayed once more, elsewhere
        again = published(Path(afresh), file, capsys)
        assert (again["sent"], again["known"], again["clips"]) == (0, len(records), 0)
        assert len(office.shown()) == len(records)
        assert soon(lambda: [(edge.state, edge.missing) for edge in office.store.edges.all()] == [("online", 0)])
        assert office.phone.got == []
        # Live tells the same after all: from now on that is what is shown, and this one does ring.
        outbox.put(told_live(records[0]))
        assert outbox.wait_drained(20)
        assert soon(lambda: office.phone.got)
        assert [one.id for one in office.shown() if one.replayed_at is None] == [records[0]["id"]]
        assert len(office.shown()) == len(records)
        assert len(office.phone.got) == 1
    assert sorted(path.name for path in (out / "clips").iterdir()) == sorted(
        path.name for path in (results / "clips").iterdir()
    ), "what was replayed stays as it is"


def test_a_clip_that_the_hub_has_is_as_signed_though_a_replay_by_other_rules_has_cut_another(
    office: Office, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path / "box", office.hub.url, office.broker.port)
    (record,) = [one for one in read_results(out) if one["clip"]]
    published(out, file, capsys)
    with (out / record["clip"]).open("ab") as clip:
        clip.write(b"\0\0\0\x08free")  # a second longer, say
    later = iso(datetime.fromisoformat(record["ended_at"]).timestamp() + 1.0)
    lines = [one | {"ended_at": later} if one["id"] == record["id"] else one for one in read_results(out)]
    (out / "incidents.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    assert published(out, file, capsys)["sent"] == 1
    (told,) = [one for one in office.shown() if one.record["replay"]["id"] == record["id"]]
    assert told.record["ended_at"] == later
    assert [row["state"] for row in promised(told, office.store.clips(told.id), is_gone=False)] == ["matches"]


def test_a_clip_cut_anew_before_it_was_brought_is_promised_anew(
    office: Office, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = configured(tmp_path / "box", office.hub.url, office.broker.port)
    (record,) = [one for one in read_results(out) if one["clip"]]

    def away(*_: object) -> None:
        raise NotNowError("the hub is away")

    with monkeypatch.context() as while_away:
        while_away.setattr("detector.recorded.publishing.TRIES", 1)
        while_away.setattr(Carrier, "bring", away)
        assert published(out, file, capsys, code=1)["left"] == 1
    with (out / record["clip"]).open("ab") as clip:
        clip.write(b"\0\0\0\x08free")  # a replay of other settings, or by another version
    for _ in range(2):
        assert published(out, file, capsys)["left"] == 0
    (told,) = [one for one in office.shown() if one.record["replay"]["id"] == record["id"]]
    assert [row["state"] for row in promised(told, office.store.clips(told.id), is_gone=False)] == ["matches"]


def test_slow_strangers_keep_no_replay_from_being_published(
    office: Office, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path / "box", office.hub.url, office.broker.port)
    key = wire.public_key_text(load_identity(file.parent / "data"))
    office.hub._parts.keys.trust("shanghai", "box1", key, time.time())
    address = urlsplit(office.hub.url)
    with ExitStack() as slow:
        visitors = [slow.enter_context(socket.create_connection((address.hostname, address.port))) for _ in range(8)]
        for visitor in visitors:
            head = b"POST /api/replays/shanghai/box1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
            visitor.sendall(head + b"z" * 100)
        assert soon(lambda: len(select.select(visitors, [], [], 0)[0]) == 8 - STRANGERS), "others are to come again"
        assert published(out, file, capsys)["left"] == 0


def test_what_live_had_found_is_confirmed_and_another_machine_adds_nothing(
    office: Office, out: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path / "box", office.hub.url, office.broker.port)
    records = read_results(out)
    with watching(office, file) as outbox:
        for record in records:
            outbox.put(told_live(record))
        assert outbox.wait_drained(20)
        assert soon(lambda: len(office.phone.got) == len(records))
        office.store.verdicts.add(records[0]["id"], "li", "true", "", time.time())
        first = published(out, file, capsys)
    assert (first["sent"], first["confirmed"]) == (0, len(records))
    assert first["clips"] > 0, "live had kept none"
    elsewhere = configured(tmp_path / "desk", office.hub.url, edge="office")
    second = published(Path(shutil.copytree(results, tmp_path / "copy")), elsewhere, capsys)
    assert (second["sent"], second["confirmed"], second["clips"]) == (0, len(records), 0)
    shown = {one.id: one for one in office.shown()}
    assert set(shown) == {record["id"] for record in records}
    assert shown[records[0]["id"]].verdict == "true"
    assert {one.edge for one in office.store.confirmed_by(records[0]["id"])} == {"box1", "office"}
    assert len(office.phone.got) == len(records)


def test_killed_in_between_it_goes_on_and_sends_nothing_twice(
    office: Office, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    way = Link(int(office.hub.url.rstrip("/").rpartition(":")[2]))
    try:
        file = configured(tmp_path / "box", f"http://127.0.0.1:{way.port}")
        command = [sys.executable, "-m", "detector", "replay", "--publish", "--config", str(file), "--out", str(out)]
        for stop_when in (lambda: (out / LEDGER).exists(), lambda: office.shown()):
            way.delay(0.4)
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            assert soon(lambda wanted=stop_when, p=process: wanted() or p.poll() is not None)
            process.kill()
            process.wait()
            way.mend()
        with (out / LEDGER).open("ab") as ledger:
            ledger.write(b'{"incident": "cut o')
        records = read_results(out)
        last = published(out, file, capsys)
        assert last["left"] == 0 and last["refused"] == []
        assert published(out, file, capsys)["known"] == len(records)
    finally:
        way.close()
    assert len(office.shown()) == len(records)
    assert all(len(office.store.envelopes(one.id)) == 1 for one in office.shown())
    assert office.store.with_clips([one.id for one in office.shown()]) and office.phone.got == []


def test_without_a_hub_in_reach_all_stays_and_the_command_says_how_to_go_on(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.recorded.publishing.TRIES", 1)
    file = configured(tmp_path / "my box")
    assert main(["replay", "--publish", "--config", str(file), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "can't be reached" in said.err and f"{len(read_results(out))} still to be sent" in said.out
    assert f"labelwatch replay --publish --config '{file}' --out {out}" in said.err


def test_who_stops_it_while_it_is_sent_is_told_how_to_go_on(out: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30.0)
        file = configured(tmp_path / "box", f"http://127.0.0.1:{silent.getsockname()[1]}")
        command = [sys.executable, "-m", "detector", "replay", "--publish", "--config", str(file), "--out", str(out)]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells' background is deaf to it
        )  # fmt: skip
        silent.accept()[0].close()  # that replays will come from there
        with silent.accept()[0] as incidents:
            assert incidents.recv(1)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30.0)
    assert process.returncode == 130
    assert f"to send it later: labelwatch replay --publish --config {file} --out {out}" in said


def test_the_hub_knows_a_machine_for_replays_though_they_find_nothing(
    office: Office, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out / "incidents.jsonl").write_text("")
    file = configured(tmp_path / "pc", office.hub.url, office.broker.port, edge="pc")
    key = wire.public_key_text(load_identity(file.parent / "data"))
    assert office.hub._parts.keys.trust("shanghai", "pc", key, time.time())
    assert published(out, file, capsys)["sent"] == 0
    assert office.store.edges.only_replaying() == {("shanghai", "pc")}


def test_a_machine_with_another_key_is_told_to_join(
    office: Office, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path / "box", office.hub.url)
    assert published(out, file, capsys)["sent"] == len(read_results(out))
    (file.parent / "data" / "identity.key").unlink()
    configured(tmp_path / "box", office.hub.url)
    (out / "published.jsonl").unlink()
    assert main(["replay", "--publish", "--config", str(file), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "not the one this hub knows it by" in said and "let this machine join: labelwatch join http" in said


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda file, out: file.write_text(file.read_text().replace("hub:", "# hub:")), "names no hub"),
        (lambda file, out: (file.parent / "data" / "identity.key").unlink(), "join the hub first"),
        (lambda file, out: (out / "incidents.jsonl").unlink(), "nothing to be published yet"),
        (lambda file, out: (out / "incidents.jsonl").write_text("{}\n"), "line 1: not an incident"),
        (lambda file, out: (out / "incidents.jsonl").write_bytes(b"\xff\xfe"), "can't be read"),
        (lambda file, out: (file.parent / "data" / "hub.pub").write_text("x"), "can't be reached"),
    ],
)
def test_what_keeps_it_from_being_published_is_one_clear_line(
    out: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Any,
    word: str,
) -> None:
    monkeypatch.setattr("detector.recorded.publishing.TRIES", 1)
    file = configured(tmp_path / "box")
    spoil(file, out)
    assert main(["replay", "--publish", "--config", str(file), "--out", str(out)]) in (1, 2)
    assert word in capsys.readouterr().err


def test_a_replay_of_nothing_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--config", str(configured(tmp_path)), "--out", str(tmp_path / "out")]) == 2
    assert "PATH" in capsys.readouterr().err


def test_results_name_no_file_outside_their_folder(
    office: Office, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = read_results(out)
    (tmp_path / "secret").write_text("not for the hub")
    for record in records:
        record["clip"] = record["snapshot"] = record["side"] = "../secret"
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (out / "incidents.jsonl").write_text(lines, encoding="utf-8")
    told = published(out, configured(tmp_path / "box", office.hub.url), capsys)
    assert (told["sent"], told["clips"], told["refused"]) == (len(records), 0, [])
    assert not office.shown()[0].snapshot


def test_a_recording_s_name_may_hold_what_some_take_for_the_end_of_a_line(out: Path) -> None:
    records = [record | {"file": "大门\u0085\u2028.mp4"} for record in read_results(out)]
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (out / "incidents.jsonl").write_text(lines, encoding="utf-8")
    assert read_results(out) == records


def test_results_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(LabelwatchError, match="isn't there"):
        read_results(tmp_path)


def test_what_came_of_it_is_one_line() -> None:
    assert (
        Published(sent=1, clips=1)
        .words()
        .endswith("1 sent, 0 confirm what was found before, 0 known already, 0 refused, one clip")
    )
    assert Published(clips=2, left=3).words().endswith("2 clips; 3 still to be sent")
