"""Every word the pages say, in every language; what an incident says of itself comes from `sentences`.

In a text "one|many", `n` decides which is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.facts import holds
from detector.hub.storage.stored import StoredIncident
from detector.hub.texts import (
    alarms,
    basic,
    cases,
    derived,
    edges,
    entry,
    feed,
    health,
    integrations,
    lan,
    notices,
    orientation,
    retention,
    review,
    walk_tests,
    zones,
)
from detector.sentences import KIND_NAMES, SEVERITY_NAMES, clauses, photos_counted
from detector.sentences import TEXTS as SENTENCES
from detector.values import IncidentKind

AREAS = (
    alarms,
    basic, lan, entry, feed, review, cases, derived, notices, zones, orientation, health, retention, integrations,
    edges, walk_tests,
)  # fmt: skip

ZH = {key: text for area in AREAS for key, text in area.ZH.items()}
EN = {key: text for area in AREAS for key, text in area.EN.items()}

for _language, _texts in (("zh", ZH), ("en", EN)):
    _texts.update({f"kind_{kind}": name for kind, name in KIND_NAMES[_language].items()})
    _texts.update({f"severity_{severity}": name for severity, name in SEVERITY_NAMES[_language].items()})
    _texts.update(
        {key.replace("tamper_", "what_"): text for key, text in SENTENCES[_language].items() if "tamper_" in key}
    )

TEXTS: Mapping[str, Mapping[str, str]] = {"zh": ZH, "en": EN}
LANGUAGES = tuple(TEXTS)
PAST_S = 1800.0  # who did something so long ago is no longer met there


class Phrases:
    """The texts of one language: `phrases("exposed", count="3–5")`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.gap = "" if language == "zh" else " "  # between two sentences
        self._texts = TEXTS[language]

    def __call__(self, key: str, **values: Any) -> str:
        """A text with its values put in; `n`, where given, chooses between one and many."""
        text = self._texts[key]
        if "|" in text:
            one, many = text.split("|")
            text = one if values.get("n", values.get("d")) == 1 else many
        return text.format(**values)

    def either(self, key: str, fallback: str) -> str:
        """A text, or the fallback where there is none: for words that came from an edge newer than this hub."""
        return self._texts.get(key, fallback)

    def span(self, seconds: float) -> str:
        """A length of time in words, to the second under an hour, then to the nearest minute as in sentences."""
        whole = max(0, round(seconds))
        minutes, s = divmod(whole, 60)
        hours, m = divmod(minutes if whole < 3600 else round(whole / 60), 60)
        if whole < 60:
            return self("span_s", s=s)
        if minutes < 60:
            return self("span_m", m=m, s=s) if s else self("span_m_only", m=m)
        if hours < 48:
            return self("span_h", h=hours, m=m) if m else self("span_h_only", h=hours)
        return self("span_d", d=hours // 24)

    def ago(self, seconds: float | None) -> str:
        """How long ago something was; `None` is never."""
        if seconds is None:
            return self("never")
        return self("just_now") if seconds < 1.5 else self("ago", span=self.span(seconds))


def explanation(incident: StoredIncident, say: Phrases) -> list[str]:
    """What happened, in the incident's own words (`sentences`), in lines; without full stops."""
    return [line[:1].upper() + line[1:] for line in clauses(incident.record, say.language)]


def advice(incident: StoredIncident, say: Phrases, now: float) -> str:
    """What to do about it at Unix time `now`, in a line; empty where there is nothing to say."""
    facts, usual = incident.record["facts"], say.either(f"advice_{incident.kind}", "")
    if incident.kind == IncidentKind.TAMPER:
        told = say.either(f"advice_tamper_{facts.get('what')}", usual)
        blind = incident.phase != "end" and facts.get("what") != "clock"
        return told + say("advice_tamper_unseen") if blind else told
    if incident.kind == IncidentKind.ORIENTATION_PATTERN and holds(facts, "turned_here"):
        return say("advice_orientation_pattern_turned")
    if incident.kind == IncidentKind.ORIENTATION_PATTERN and holds(facts, "usual_supposed"):
        return say("advice_orientation_pattern_new")
    if (
        incident.kind == IncidentKind.LABEL_PHOTOGRAPHY
        and holds(facts, "scans")
        and not photos_counted(incident.record)
    ):
        return say("advice_label_photography_scans")
    if incident.severity == "info":
        return usual
    is_past = now - incident.ended_at > PAST_S
    return say.either(f"advice_{incident.kind}_{'past' if is_past else 'now'}", usual)
