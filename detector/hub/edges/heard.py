"""What edges said of themselves comes in; whether it is new, or an old word that somebody says again, leaves.

Every word has a number that only grows at its edge (`serial`), and the number of the connection that it belongs to
(`session`). A last will was written when the connection began, but is what is said last on it. Known by heart here; the
reports that the store keeps tell a hub that was restarted how far each edge had come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from detector.errors import WireError

Source = tuple[str, str, str]  # site, edge, key: an edge that joined anew may begin anew
Order = tuple[int, bool, int]


class Heard:
    """Keeps the newest word of each kind of each edge. One thread asks.

    Args:
        reports: The newest health report of every edge; asked once, before the first word is looked at.
    """

    def __init__(self, reports: Callable[[], Iterable[Mapping[str, Any]]] = lambda: ()) -> None:
        self._reports = reports
        self._is_read = False
        self._session: dict[Source, int] = {}
        self._newest: dict[tuple[Source, str], Order] = {}

    def check(self, fields: Mapping[str, Any]) -> None:
        """Whether a word that is signed by its edge is new.

        Raises:
            WireError: A newer one of its kind, or one of a newer connection, was heard before.
        """
        if not self._is_read:
            for report in self._reports():
                self._remember(report)
            self._is_read = True
        source, order = _source(fields), _order(fields)
        if order[0] < self._session.get(source, 0) or order < self._newest.get((source, fields["what"]), order):
            raise WireError("older than what this edge said before: somebody says it again")

    def note(self, fields: Mapping[str, Any]) -> None:
        """Take a word for heard: once it is stored, since where that failed the broker brings older ones once more."""
        source, order = _source(fields), _order(fields)
        self._session[source], self._newest[source, fields["what"]] = order[0], order

    def _remember(self, report: Mapping[str, Any]) -> None:
        if all(isinstance(report.get(name), str) for name in ("site", "edge", "key", "what")) and all(
            isinstance(report.get(name), int) for name in ("serial", "session")
        ):
            self.note(report)


def _source(fields: Mapping[str, Any]) -> Source:
    return fields["site"], fields["edge"], fields["key"]


def _order(fields: Mapping[str, Any]) -> Order:
    return fields["session"], fields.get("state") == "offline", fields["serial"]
