"""Where a visitor may go: the entries of the navigation, without pages that are not there or not for their role.

What a page asks for is known from its route alone (`needs`), so that navigation and page can't disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.routing import APIRoute

from detector.hub.storage.rights import Right


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation; its text is `nav_` and its name, and so is its icon."""

    name: str
    path: str


# What people live in stands in sight; what is set up now and then is in a menu behind it.
DAILY = (
    Entry("feed", "/"),
    Entry("review", "/review"),
    Entry("cases", "/cases"),
    Entry("cameras", "/cameras"),
    Entry("health", "/health"),
)
SELDOM = (
    Entry("edges", "/edges"),
    Entry("tuning", "/tuning"),
    Entry("notices", "/notices"),
    Entry("people", "/people"),
    Entry("audit", "/audit"),
    Entry("retention", "/retention"),
    Entry("integrations", "/integrations"),
)


class Doors:
    """Which rights open which page.

    Args:
        routers: Of all pages.
    """

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._rights = {
            route.path: [some for call in route.dependant.dependencies if (some := getattr(call.call, "rights", None))]
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute) and "GET" in (route.methods or ())
        }

    def open_to(self, may: Callable[[Right], bool], entries: Iterable[Entry]) -> list[Entry]:
        """Those entries whose page is there and asks for nothing that the visitor may not."""

        def is_open(asked: list[tuple[Right, ...]]) -> bool:
            return all(any(map(may, some)) for some in asked)

        return [entry for entry in entries if entry.path in self._rights and is_open(self._rights[entry.path])]
