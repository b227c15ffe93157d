"""The record of what was published of a replay: a line is added for each thing that became of an incident."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.wire.replays import REFUSED

LEDGER = "published.jsonl"


class Ledger:
    """What the hub said of each incident, and what became of its clip: the latest line counts.

    Lines of another hub tell nothing: whoever set up a new one wants everything there.

    Args:
        file: Made when missing.
        hub: The hub's public key; without one every line counts.

    Attributes:
        run: Names the replay whose folder it is in.
    """

    def __init__(self, file: Path, hub: str | None) -> None:
        self._file = file
        self.run = ""
        self._last: dict[str, dict[str, Any]] = {}
        whole = file.read_bytes() if file.exists() else b""
        for line in whole.split(b"\n")[:-1]:  # what follows the last end of line was cut off
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            self.run = fields.get("run", self.run)
            if "incident" in fields and (hub is None or fields.get("hub") == hub):
                self._last[fields["incident"]] = fields
        if whole and not whole.endswith(b"\n"):
            self._write(b"\n")
        if not self.run:
            self.run = uuid.uuid4().hex
            self.add({"run": self.run})

    def of(self, incident: str, envelope: str) -> dict[str, Any] | None:
        """What the hub said of this very envelope; nothing counts where it was refused, since that may be mended."""
        last = self._last.get(incident)
        return last if last and last["envelope"] == envelope and last["outcome"] != REFUSED else None

    def add(self, *lines: Mapping[str, Any]) -> None:
        """Put lines on record; they are on disk when this returns."""
        for fields in lines:
            if "incident" in fields:
                self._last[fields["incident"]] = dict(fields)
        self._write(b"".join(json.dumps(dict(one), ensure_ascii=False).encode() + b"\n" for one in lines))

    def _write(self, content: bytes) -> None:
        with self._file.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
