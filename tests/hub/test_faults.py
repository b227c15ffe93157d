"""Whichever write of an alert and a clip fails at the hub, and wherever it dies: each is stored once, and whole."""

from __future__ import annotations

import functools
import hashlib
import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from detector import wire
from detector.hub.edges.keys import EdgeKeys
from detector.hub.footage.clips import Answer, ClipFolder
from detector.hub.storage.schema import alerts
from detector.hub.storage.store import Store
from tests.builders import SteppedClock
from tests.hub.conftest import NOON, make_envelope, make_side, sqlite_url
from tests.parts_faults import DIES, Lived, Note, lift, lives, lives_in_little_room, memory_folder

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CONTENT = {None: b"\0\0\0 ftypisom" + bytes(range(256)) * 200, wire.SIDE: make_side()}
ALERT = make_envelope(1)


class Hub:
    """The life of an alert and of a clip with its side file, in a data folder of its own."""

    def __init__(self, folder: Path, database: bytes) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "hub.sqlite").write_bytes(database)

    def live(self, note: Note) -> None:
        """What ingest and uploads do; what fails, the edge brings again."""
        try:
            self._take_in(note)
        except Exception as error:  # the hub goes on, whatever it is
            note("refused", repr(error))
            lift()
            self._take_in(note)

    def _take_in(self, note: Note) -> None:
        store = Store(sqlite_url(self.folder / "hub.sqlite"))
        try:
            store.add_alerts([ALERT], NOON)
            note("stored")
            anyio.run(self._bring, store, note)
        finally:
            store.close()

    async def _bring(self, store: Store, note: Note) -> None:
        clips = ClipFolder(self.folder / "clips", store, SteppedClock(NOON), 10**6, lambda _: None)
        for what, content in CONTENT.items():
            for _ in range(3):
                if await _upload(clips, what, content, note):
                    note("whole", what)
                    break
                lift()
            else:
                note("failed", f"{what} never arrives")

    def check(self, lived: Lived) -> None:
        """Start anew: what was said to be stored is there, nothing is there by halves, and the rest can be brought."""
        store = Store(sqlite_url(self.folder / "hub.sqlite"))
        try:
            clips = ClipFolder(self.folder / "clips", store, SteppedClock(NOON), 10**6, lambda _: None)
            there = _count(store)
            assert there == 1 if lived.noted("stored") else there in (0, 1), f"lost or doubled: {lived}"
            self._check_files(clips, lived)
            store.add_alerts([ALERT], NOON)
            assert _count(store) == 1, f"doubled: {lived}"
            (edge,) = store.edges.all()
            assert edge.missing == 0
            assert store.incident("inc-1") is not None
            anyio.run(self._bring, store, lambda *note: lived.notes.append([*note, None][:2]))
            assert not lived.noted("failed"), f"does not arrive: {lived}"
            lived.notes += [["whole", what] for what in CONTENT]
            self._check_files(clips, lived)
            assert not list((self.folder / "clips").glob("*.part")), f"a piece is left: {lived}"
        finally:
            store.close()

    def _check_files(self, clips: ClipFolder, lived: Lived) -> None:
        side = clips.find_side("inc-1", 0)
        for what, path in ((None, clips.find("inc-1", 0)), (wire.SIDE, side and side[1])):
            assert path is not None or what not in lived.noted("whole"), f"{what or 'clip'} is lost: {lived}"
            assert path is None or path.read_bytes() == CONTENT[what], f"{what or 'clip'} is served by halves: {lived}"


async def _upload(clips: ClipFolder, what: str | None, content: bytes, note: Note) -> bool:
    """As an edge does, in two pieces; tells whether the hub has it whole."""
    claim = wire.clip_headers(
        site="shanghai", edge="box1", camera="cam3", incident="inc-1", segment=0, at=NOON, started_at=NOON,
        sha256=hashlib.sha256(content).hexdigest(), size=len(content), duration_s=4.0, key=KEY, what=what,
    )  # fmt: skip
    try:
        answer = await clips.held("inc-1", 0, claim, what=what)
        while answer.status in (200, 202):
            at = answer.offset or 0
            end = len(content) // 2 if at < len(content) // 2 else len(content)
            headers = {**claim, "Content-Range": f"bytes {at}-{end - 1}/{len(content)}"}
            answer = await clips.take("inc-1", 0, headers, _body(content[at:end]), what=what)
        _never_given_up(answer)
    except Exception as error:  # the page answers 500, and the edge comes again
        note("refused", repr(error))
        return False
    if answer.status != 201:
        note("refused", answer.reason)
    return answer.status == 201


def _never_given_up(answer: Answer) -> None:
    """An edge takes these for good, and buries a clip that is whole at its end."""
    assert answer.status not in (413, 422), answer


async def _body(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 9000):
        yield content[at : at + 9000]


def _count(store: Store) -> int:
    with store.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(alerts)).scalar_one())


@pytest.fixture
def hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Iterator[Hub]]:
    """One hub after another, of which each knows the edge; their databases are of the newest shape already."""
    store = Store(sqlite_url(tmp_path / "hub.sqlite"))
    EdgeKeys(store.database).trust("shanghai", "box1", wire.public_key_text(KEY), NOON)
    store.edges.set_status("shanghai", "box1", "online", NOON)
    store.close()
    database = (tmp_path / "hub.sqlite").read_bytes()
    monkeypatch.setattr("detector.hub.storage.database.migrate", lambda _, **__: None)
    with memory_folder() as folder:
        Hub(folder / "undisturbed", database).live(lambda *_: None)  # statements are compiled here, for all children
        yield (Hub(folder / str(n), database) for n in itertools.count())


def lived_through(hubs: Iterator[Hub], lived_by: Callable[[Callable[[Note], None]], Iterator[Lived]]) -> int:
    """Check every life; how many met the fault."""
    homes = [next(hubs)]

    def life(note: Note) -> None:
        homes[-1].live(note)

    met = 0
    for lived in lived_by(life):
        homes[-1].check(lived)
        met += lived.met or not lived.ended or bool(lived.noted("refused"))
        shutil.rmtree(homes[-1].folder)
        homes.append(next(hubs))
    return met


@pytest.mark.parametrize(("how", "least"), [("EIO", 40), (DIES, 15)])
def test_whichever_write_of_an_alert_and_a_clip_fails_at_the_hub(hubs: Iterator[Hub], how: str, least: int) -> None:
    assert lived_through(hubs, functools.partial(lives, how=how)) > least


@pytest.mark.parametrize("how", ["refused", "killed"])
def test_however_much_of_its_files_a_hub_gets_written(hubs: Iterator[Hub], how: str) -> None:
    assert lived_through(hubs, functools.partial(lives_in_little_room, how=how, step=16_411)) > 4
