"""What edges said of themselves comes in; whether it is new, or an old word that somebody says again, leaves.

Every word has a number that only grows at its edge (`serial`), and the number of the connection that it belongs to
(`session`): an edge takes a new one for each attempt to connect, over restarts too, and never goes back. A last will
was written when the connection began, but follows all that the edge said of its state on it.

A will may be heard while the edge is still there: whoever owns the broker has it from the beginning. So a report that
comes after it is believed, and shows that the edge is there. The very word that was heard last tells nothing new,
neither of an edge that is there nor of one that is gone, however often it comes; but it is no older one either: the
broker brings a status once more that wasn't acknowledged, and the one that it keeps to each connection of the hub. With
several hubs each hears some words of an edge, which grow all the same.

Known by heart here; the reports that the store keeps tell a hub that was restarted how far each edge had come.
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

    def is_new(self, fields: Mapping[str, Any]) -> bool:
        """Whether a word that is signed by its edge is another than the last of its kind.

        Raises:
            WireError: A newer one of its kind, or one of a newer connection, was heard before.
        """
        if not self._is_read:
            for report in self._reports():
                self._remember(report)
            self._is_read = True
        source, order = _source(fields), _order(fields)
        newest = self._newest.get((source, fields["what"]))
        if order[0] < self._session.get(source, 0) or (newest is not None and order < newest):
            raise WireError("older than what this edge said before: somebody says it again")
        return order != newest

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
    return fields["session"], fields["what"] == "status" and fields.get("state") == "offline", fields["serial"]
