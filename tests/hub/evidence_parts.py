"""Cases with real recordings, and packs of them, over a store on either database."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.credentials.keys import load_key
from detector.hub.access.audit import Audit
from detector.hub.edges.keys import EdgeKeys
from detector.hub.evidence.cases import Case, Cases
from detector.hub.evidence.pack import Archive
from detector.hub.evidence.packs import PackRecord, Packs
from detector.hub.footage.clips import ClipFolder
from detector.hub.footage.sides import Sides
from detector.hub.storage.rights import EVERYWHERE
from detector.hub.storage.store import Store
from detector.hub.storage.stored import Clip, StoredIncident
from tests.builders import SteppedClock
from tests.hub.conftest import NOON, make_envelope

SIDE = gzip.compress(json.dumps({"schema": 1, "looks": []}).encode(), mtime=0)


class Office:
    """What a guard works with, and an edge that signs what it tells."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.edge_key = Ed25519PrivateKey.generate()
        EdgeKeys(store.database).trust("shanghai", "box1", wire.public_key_text(self.edge_key), NOON)
        self.clock = SteppedClock(NOON + 3600)
        self.audit = Audit(store.database)
        self.cases = Cases(store.database, self.audit)
        self.clips = ClipFolder(folder / "clips", store, self.clock, 0, lambda _: None)
        key = load_key(folder / "evidence.key", "the key of evidence packs")
        self.archive = Archive(store, self.clips, key, "Asia/Shanghai")
        self.packs = Packs(folder / "packs", self.archive, self.audit, self.clock)
        self._seq = 0

    def tell(self, incident: str, phase: str, clips: Sequence[dict[str, Any]] = (), **changes: Any) -> None:
        """Store an envelope that the edge has signed."""
        self._seq += 1
        fields = make_envelope(self._seq, incident=incident, phase=phase, clips=list(clips), **changes)
        fields["sent_at_unix"] += self._seq / 100
        self.store.add_alerts([wire.signed(fields, self.edge_key)], fields["sent_at_unix"] + 0.25)

    def keep(self, incident: str, segment: int, content: bytes, side: bytes = b"") -> None:
        """Store a recording and its side file as they come from an edge."""
        self.store.add_clip(self._clip(incident, segment, content, "mp4"))
        if side:
            Sides(self.store.database).add(self._clip(incident, segment, side, "json.gz"))

    def _clip(self, incident: str, segment: int, content: bytes, kind: str) -> Clip:
        sha256 = hashlib.sha256(content).hexdigest()
        file = f"{hashlib.sha256(f'{incident}/{segment}/{kind}'.encode()).hexdigest()}.{kind}"
        (self.folder / "clips" / file).write_bytes(content)
        return Clip(incident, segment, "shanghai", "box1", "cam3", NOON, 4.0, len(content), sha256, file, NOON + 60)

    def incident(
        self,
        incident: str = "inc-1",
        clips: Sequence[bytes] = (),
        side: bytes = b"",
        picture: bytes = b"",
        **changes: Any,
    ) -> StoredIncident:
        """An incident that is over, its recordings here and signed for."""
        self.tell(incident, "new", snapshot=picture or None, **changes)
        told = [
            {"segment": n, "sha256": hashlib.sha256(clip).hexdigest(), "bytes": len(clip)}
            | ({"side_sha256": hashlib.sha256(side).hexdigest()} if side else {})
            for n, clip in enumerate(clips)
        ]
        self.tell(incident, "end", told, **changes)
        for n, clip in enumerate(clips):
            self.keep(incident, n, clip, side)
        found = self.store.incident(incident)
        assert found
        return found

    def case(self, *incidents: StoredIncident, title: str = "夜班拍面单", **changes: str) -> Case:
        """A case that somebody opened for these."""
        number = self.cases.make(title, incidents, user="wang", at=NOON)
        case = self.found(number)
        if changes:
            self.cases.change(case, changes, user="wang", at=NOON)
        return self.found(number)

    def found(self, number: int) -> Case:
        """A case as it stands now."""
        case = self.cases.case(number)
        assert case
        return case

    def ask(self, case: Case) -> PackRecord:
        """A pack of a case, made or failed."""
        number = self.packs.ask(case, user="wang", at=self.clock.now())
        assert number
        self.packs.wait()
        pack = self.packs.pack(case.number, number, EVERYWHERE, self.clock.now())
        assert pack
        return pack

    def pack(self, case: Case) -> Path:
        """The file of a pack of a case."""
        path = self.packs.path(self.ask(case))
        assert path
        return path


def changed(content: bytes, at: int, bit: int = 0) -> bytes:
    """The same with one bit flipped."""
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]
