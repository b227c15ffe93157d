"""Whichever write of an alert and a clip fails at the edge, and wherever it dies: nothing is lost or doubled."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.clip_queue import Clip
from detector.alerts.outbox import Outbox
from detector.clock import SystemClock
from detector.errors import StoreError
from tests.alerts.conftest import make_fields
from tests.parts_faults import DIES, FAILS, Lived, Note, lift, lives, lives_in_little_room, memory_folder

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CONTENT = {None: b"\0\0\0 ftypisom" + bytes(5000), wire.SIDE: b"\x1f\x8b" + bytes(900)}
T = TypeVar("T")


def open_outbox(folder: Path) -> Outbox:
    return Outbox(folder / "outbox.db", KEY, clock=SystemClock())


class Edge:
    """The life of two alerts and of a clip with its side file, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for what, content in CONTENT.items():
            self.file(what).write_bytes(content)

    def file(self, what: str | None) -> Path:
        return self.folder / (what or "clip")

    def live(self, note: Note) -> None:
        """What the worker, the link and the uploads do one after another; what fails is tried once more."""

        def do(step: Callable[[], T], *attempt: Any) -> T:
            for name in attempt:
                note("attempt", name)
            try:
                return step()
            except (StoreError, OSError) as error:
                note("refused", str(error))
                lift()
            for name in attempt:
                note("attempt", name)
            return step()

        outbox = do(lambda: open_outbox(self.folder))
        for phase in ("new", "end"):
            note("put", do(lambda: outbox.put(make_fields(phase=phase)), phase))  # noqa: B023
        for what, content in reversed(CONTENT.items()):
            do(lambda: self._put_clip(outbox, what, content))  # noqa: B023
            note("kept", what)
        rows = do(outbox.take_due)
        note("sent", [(row.id, row.seq) for row in rows])
        note("acknowledging", [row.id for row in rows])
        do(lambda: outbox.acknowledge([row.id for row in rows]))
        for _ in CONTENT:
            clip = do(outbox.clips.next_due)
            assert clip is not None
            note("brought", clip.what)
            do(lambda: outbox.clips.done(clip))  # noqa: B023
            do(lambda: clip.path.unlink())  # noqa: B023
        assert do(lambda: outbox.wait_drained(0.0))

    def _put_clip(self, outbox: Outbox, what: str | None, content: bytes) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        outbox.clips.put(Clip("i1", 0, "cam-1", self.file(what), sha256, len(content), 1e9, 3.0, what))

    def check(self, lived: Lived) -> None:
        """Start anew, and see that everything is accounted for and that work goes on."""
        outbox = open_outbox(self.folder)
        try:
            rows = outbox.take_due()
            left = {row.id: row.seq for row in rows}
            sent = {id_: seq for rows in lived.noted("sent") for id_, seq in rows}
            acknowledged = set(itertools.chain(*lived.noted("acknowledging")))
            put = set(lived.noted("put"))
            assert put - acknowledged <= left.keys(), f"lost: {lived}"
            known = {**sent, **left}
            assert len(known) <= len(lived.noted("attempt")), f"doubled: {lived}"
            assert len(known) - len(put) <= 1, f"more than the one under way: {lived}"
            assert sorted(known.values()) == list(range(1, len(known) + 1)), f"a gap, or a number twice: {lived}"
            for row in rows:
                wire.verify(wire.decode(row.payload), wire.public_key_text(KEY))
            outbox.acknowledge(list(left))
            self._check_clips(outbox, lived)
            assert outbox.counts()["dead"] == outbox.counts()["dropped"] == 0
            again = outbox.put(make_fields())
            (row,) = outbox.take_due()
            assert (row.id, row.seq) == (again, len(known) + 1), f"work does not go on: {lived}"
        finally:
            outbox.close()
        assert not list(self.folder.glob("*.corrupt-*")), f"it was taken for corrupt: {lived}"

    def _check_clips(self, outbox: Outbox, lived: Lived) -> None:
        owed = set(lived.noted("kept")) - set(lived.noted("brought"))
        found = {}
        while (clip := outbox.clips.next_due()) is not None:
            found[clip.what] = clip
            if clip.path.exists():  # it was with the hub and deleted, but not yet forgotten
                assert clip.path.read_bytes() == CONTENT[clip.what]
            outbox.clips.done(clip)
        assert owed <= found.keys(), f"a clip is lost: {lived}"
        assert all(found[what].path.exists() for what in owed)


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """One folder after another."""
    with memory_folder() as folder:
        yield (folder / str(n) for n in itertools.count())


def lived_through(folders: Iterator[Path], lived_by: Callable[[Callable[[Note], None]], Iterator[Lived]]) -> int:
    """Check every life; how many met the fault."""
    homes: list[Edge] = []

    def life(note: Note) -> None:
        homes[-1].live(note)

    met = 0
    homes.append(Edge(next(folders)))
    for lived in lived_by(life):
        homes[-1].check(lived)
        met += lived.met or not lived.ended or bool(lived.noted("refused"))
        shutil.rmtree(homes[-1].folder)
        homes.append(Edge(next(folders)))
    return met


@pytest.mark.parametrize(("how", "least"), [*((how, 40) for how in FAILS), (DIES, 15)])
def test_whichever_write_of_an_alert_and_a_clip_fails_at_the_edge(
    folders: Iterator[Path], how: str, least: int
) -> None:
    assert lived_through(folders, lambda life: lives(life, how)) > least


@pytest.mark.parametrize("how", ["refused", "killed"])
def test_however_much_of_its_files_an_edge_gets_written(folders: Iterator[Path], how: str) -> None:
    assert lived_through(folders, lambda life: lives_in_little_room(life, how, 8_219)) > 8


BROKEN = b"this is no database " * 100


@pytest.mark.parametrize(("how", "least"), [*((how, 15) for how in FAILS), (DIES, 9)])
def test_whichever_write_fails_while_a_corrupt_file_is_set_aside(folders: Iterator[Path], how: str, least: int) -> None:
    """The broken file is kept as it was, once, and the fresh one loses nothing."""
    home = next(folders)

    def life(note: Note) -> None:
        def do(step: Callable[[], T]) -> T:
            try:
                return step()
            except StoreError as error:
                note("refused", str(error))
                return step()

        outbox = do(lambda: open_outbox(home))
        note("put", do(lambda: outbox.put(make_fields())))

    def prepare() -> None:
        home.mkdir()
        (home / "outbox.db").write_bytes(BROKEN)

    met = 0
    prepare()
    for lived in lives(life, how):
        outbox = open_outbox(home)
        assert set(lived.noted("put")) <= {row.id for row in outbox.take_due()}, f"lost: {lived}"
        outbox.put(make_fields())
        outbox.close()
        assert [file.read_bytes() for file in home.glob("*.corrupt-*")] == [BROKEN], f"set aside: {lived}"
        met += lived.met
        shutil.rmtree(home)
        prepare()
    assert met > least
