"""Every kind of incident is known wherever kinds are told apart: what a new one still lacks fails here by name."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

import detector.rules
from detector.alerts.severity import GRAVITY, OF_KIND
from detector.facts import FACTS
from detector.hub.integrations.onvif import ALERTS, GOING_ON
from detector.hub.storage.harm import harm
from detector.hub.texts import EN, ZH
from detector.sentences import LANGUAGES, sentence
from detector.values import IncidentKind
from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "detector"


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(GRAVITY, id="severity.GRAVITY"),
        pytest.param(OF_KIND, id="severity.OF_KIND"),
        pytest.param({kind for kind in IncidentKind if harm("info", 0, kind) > harm("info", 0, "?")}, id="harm.harm"),
        pytest.param({*ALERTS, *GOING_ON, IncidentKind.TAMPER}, id="onvif.ALERTS or GOING_ON"),
        pytest.param({kind for kind in IncidentKind if f"kind_{kind}" in ZH}, id="its name, Chinese"),
        pytest.param({kind for kind in IncidentKind if f"kind_{kind}" in EN}, id="its name, English"),
        pytest.param({kind for kind in IncidentKind if f"advice_{kind}" in ZH}, id="advice, Chinese"),
        pytest.param({kind for kind in IncidentKind if f"advice_{kind}" in EN}, id="advice, English"),
    ],
)
def test_every_kind_is_known(known: Iterable[str]) -> None:
    assert set(known) == set(IncidentKind)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", IncidentKind)
def test_every_kind_has_a_sentence_of_its_own(kind: IncidentKind, language: str) -> None:
    told = {"kind": kind.value, "facts": dict.fromkeys(FACTS, 3), "sentence": {language: "as it was sent"}}
    assert sentence(told, language) != "as it was sent", "`clauses` of sentences.py says nothing of this kind"


def test_the_guide_to_a_new_rule_names_places_that_are_there_and_none_is_missing() -> None:
    named = set(re.findall(r"`([\w/]+\.(?:py|yaml))`", detector.rules.__doc__ or ""))
    assert {name for name in named if not any((folder / name).is_file() for folder in (REPOSITORY, PACKAGE))} == set()
    # Modules that must be told of a new kind, and where what a site may set is shown and explained.
    kinds = {"values.py", "alerts/severity.py", "hub/storage/harm.py", "hub/integrations/onvif.py"}
    words = {"sentences.py", "hub/texts/basic.py", "configs/site.yaml", "tools/explain.py"}
    zones = {"config/zones.py", "contradictions.py", "wire/refusals.py", "hub/texts/zones.py", "hub/edges/drafts.py"}
    assert kinds | words | zones | {"alerts/incidents.py"} <= named


def test_no_two_kinds_are_equally_bad() -> None:
    assert len({harm("info", 0, kind) for kind in IncidentKind}) == len(IncidentKind)
