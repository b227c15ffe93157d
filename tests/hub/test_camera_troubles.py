"""What keeps a camera from being seen has words of its own on the hub's pages."""

from __future__ import annotations

from typing import get_args

from detector.hub.edges.cameras import TROUBLES
from detector.hub.texts.health import EN, ZH
from detector.sources.stats import Trouble
from tests.hub.conftest import Site


def test_the_hub_knows_every_trouble_that_edges_tell() -> None:
    assert {*get_args(Trouble), "stuck"} == TROUBLES  # what is stuck is no source's trouble


def reported(site: Site, *troubles: object, **fields: object) -> None:
    """An edge's word of cameras, each with a trouble."""
    usual = {"title": "东区", "state": "lost", "age_s": 95.0, "reason": "broke off", **fields}
    cameras = {f"cam{n}": {**usual, "trouble": trouble} for n, trouble in enumerate(troubles)}
    site.store.edges.set_health("shanghai", "box1", {"cameras": cameras}, site.clock.now())


def test_troubles_are_shown_in_words(site: Site) -> None:
    reported(site, *sorted(TROUBLES))
    health, cameras = (site.client.get(page).text for page in ("/health", "/cameras"))
    for name in TROUBLES:
        assert ZH[f"trouble_{name}"] in health
        assert ZH[f"trouble_{name}"] in cameras
        assert ZH[f"trouble_help_{name}"] in cameras
        assert EN[f"trouble_{name}"] != EN[f"trouble_help_{name}"]


def test_a_word_that_is_none_of_them_and_a_camera_that_is_seen_have_none(site: Site) -> None:
    def shown() -> set[str]:
        pages = [site.client.get(page) for page in ("/health", "/cameras")]
        assert [page.status_code for page in pages] == [200, 200]
        return {name for name in TROUBLES for page in pages if ZH[f"trouble_{name}"] in page.text}

    reported(site, None, "", "no such", 7, ["hung"], {"hung": 1}, "hung\0")
    assert shown() == set()
    reported(site, "hung", state="ok", age_s=0.5)
    assert shown() == set()
