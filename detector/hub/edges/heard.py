"""What edges said of themselves comes in; whether it is new, or an old word that somebody says again, leaves.

Every word has a number that only grows at its edge (`serial`), and the number of the connection that it belongs to
(`session`): an edge takes a new one for each attempt to connect, over restarts too, and never goes back. A last will
was written when the connection began, but follows all that the edge said of its state on it.

A will may be heard while the edge is still there: whoever owns the broker has it from the beginning. So a report that
comes after it is believed, and shows that the edge is there. The very word that was heard last tells nothing new,
neither of an edge that is there nor of one that is gone, however often it comes; but it is no older one either: the
broker brings a status once more that wasn't acknowledged, and the one that it keeps to each connection of the hub. With
several hubs each hears some words of an edge, which grow all the same.

The numbers go on when an edge's key is changed (`rotation`), and begin anew where it was shut out and joins again. A
key that was replaced says nothing new of its edge, but for the will of the connection on which it was replaced, once:
whoever has it may sign what he likes with it. It is not refused for that, since the broker still keeps the status that
it signed, and what came before the change may be heard after it.

Known by heart here; the reports that the store keeps tell a hub that was restarted how far each edge had come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from detector.errors import WireError
from detector.hub.edges.keys import RETIRED, REVOKED
from detector.hub.storage.stored import EdgeId

Order = tuple[int, bool, int]
NOTHING = 0, False, 0


@dataclass(slots=True)
class _Edge:
    """By which key an edge was heard last, on which connection, and the newest word of each kind."""

    key: str = ""
    session: int = 0
    newest: dict[str, Order] = field(default_factory=dict)


class Heard:
    """Keeps the newest word of each kind of each edge. One thread asks.

    Args:
        reports: The newest health report of every edge; asked once, before the first word is looked at.
    """

    def __init__(self, reports: Callable[[], Iterable[Mapping[str, Any]]] = lambda: ()) -> None:
        self._reports = reports
        self._is_read = False
        self._edges: defaultdict[EdgeId, _Edge] = defaultdict(_Edge)

    def is_new(self, fields: Mapping[str, Any], keys: Mapping[str, str]) -> bool:
        """Whether a word that is signed by its edge tells something new.

        Args:
            fields: The word.
            keys: The edge's keys, the one that has signed among them, each with its state.

        Raises:
            WireError: A newer one of its kind, or one of a newer connection, was heard before.
        """
        if not self._is_read:
            for report in self._reports():
                self._remember(report)
            self._is_read = True
        place, order = _place(fields), _order(fields)
        if keys.get(self._edges[place].key, REVOKED) == REVOKED:
            self._edges[place] = _Edge()
        known = self._edges[place]
        newest = known.newest.get(fields["what"], NOTHING)
        if order[0] < known.session or order < newest:
            raise WireError("older than what this edge said before: somebody says it again")
        session, is_last, _ = order
        if keys[fields["key"]] == RETIRED:
            return is_last and session == known.session and (session, is_last) > newest[:2]
        return order != newest

    def note(self, fields: Mapping[str, Any]) -> None:
        """Take a word for heard: once it is stored, since where that failed the broker brings older ones once more."""
        known, order = self._edges[_place(fields)], _order(fields)
        known.key, known.session, known.newest[fields["what"]] = fields["key"], order[0], order

    def _remember(self, report: Mapping[str, Any]) -> None:
        if all(isinstance(report.get(name), str) for name in ("site", "edge", "key", "what")) and all(
            isinstance(report.get(name), int) for name in ("serial", "session")
        ):
            self.note(report)


def _place(fields: Mapping[str, Any]) -> EdgeId:
    return fields["site"], fields["edge"]


def _order(fields: Mapping[str, Any]) -> Order:
    return fields["session"], fields["what"] == "status" and fields.get("state") == "offline", fields["serial"]
