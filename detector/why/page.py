"""The page: an `Account` and its steps enter, a self-contained `why.html` beside the film leaves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from detector.clock import iso, on_the_wall
from detector.machine.whole_files import write_whole
from detector.report import SHAPES
from detector.report.bilingual import both, one_of, speaker, template
from detector.rules.evidence import KINDS
from detector.sentences import KIND_NAMES, SEVERITY_NAMES, sentence
from detector.values import ActKind, Incident
from detector.why.account import Account, Moment, Witnessed, is_photography
from detector.why.steps import EXPLAIN_PHOTO, Step, Steps, first_not_taken, until_decided
from detector.why.texts import EN, ZH
from detector.wire import OFF

MOST_PEOPLE = 12
BREAK_S = 2.0  # somebody unseen for longer was out of view
LONGEST_S = 0.5  # one look stands for no longer
HARDLY = 0.1  # who is believed less to photograph doesn't look as if they did
WIDTH, HEIGHT = 1000.0, 100.0

_say = speaker(ZH, EN)


@dataclass(frozen=True, slots=True)
class Strip:
    """A person's time as shapes in a box `WIDTH` wide: SVG path of the belief, blocks and acts as x, width and kind."""

    belief: str
    blocks: list[tuple[float, float, str]]
    acts: list[tuple[float, float, str]]


def write_page(path: Path, account: Account, steps: Steps, film: str, zone: str) -> None:
    """Write the page.

    Args:
        path: Where.
        account: Of what was seen.
        steps: That were to be taken.
        film: Name of the film beside the page.
        zone: Time zone in which times are told.

    Raises:
        OSError: It can't be written.
    """
    clock = ZoneInfo(zone)

    def local(at: float, form: str = "%H:%M:%S") -> str:
        return on_the_wall(datetime.fromtimestamp(at, clock), form)

    sweeps, others = _apart(account.incidents)
    shown = [_shown(person, steps.of(person), account, local) for person in account.people[:MOST_PEOPLE]]
    page = template(
        Path(__file__).with_name("page.html"),
        say=_say,
        sentence_of=_sentence,
        kind_of=_kind,
        severity_of=_severity,
        shapes=SHAPES,
    ).render(
        camera=account.camera.title or account.camera.name,
        configured=account.configured,
        dated=account.dated,
        day=local(account.since, "%Y-%m-%d"),
        since=local(account.looked_since),
        until=local(account.looked_until),
        begin=local(account.since),
        end=local(account.until),
        zone=zone,
        breaks=[(local(before), local(after)) for before, after in account.breaks],
        sweeps=sweeps,
        others=others,
        people=shown,
        how_likely=_how_likely(account.people[0]) if account.people else "",
        what_next=both(lambda language: _next(account, steps, language)) if _next(account, steps, "en") else "",
        more=len(account.people) - len(shown),
        least=f"{steps.least_belief:.2f}",
        threshold=_height(steps.least_belief),
        kinds=KINDS,
        film=film,
    )
    write_whole(path, page)


def record_of(account: Account, steps: Steps) -> dict[str, Any]:
    """The same for programs: times ISO 8601, every person with every step."""
    return {
        "camera": account.camera.name,
        "configured": account.configured,
        "dated": account.dated,
        "since": iso(account.since),
        "until": iso(account.until),
        "incidents": [
            {"id": one.id, "kind": one.kind.value, "severity": one.severity.value, "score": round(one.score, 3)}
            for one in account.incidents
        ],
        "people": [_person_record(person, steps.of(person)) for person in account.people],
    }


def _person_record(person: Witnessed, steps: Sequence[Step]) -> dict[str, Any]:
    why = None if person.incident else first_not_taken(steps)
    return {
        "track": person.who[1],
        "since": iso(person.moments[0].at),
        "until": iso(person.moments[-1].at),
        "belief": round(person.belief, 3),
        "incident": person.incident.id if person.incident else None,
        "acts": [
            {"kind": act.kind.value, "since": iso(act.started_at), "until": iso(act.ended_at)}
            for act in person.acts_in_order
        ],
        "stopped_at": why.name if why else None,
        "steps": [{"name": step.name, "taken": step.taken, **_rounded(step.said)} for step in steps],
    }


def _rounded(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in said.items()}


def headline(account: Account, steps: Steps) -> tuple[str, str]:
    """What it comes to, in Chinese and in English, a line; and a line of each thing that casts doubt on it."""
    sweeps, others = _apart(account.incidents)
    said = []
    for language, texts in (("zh", ZH), ("en", EN)):
        words = []
        if sweeps:
            words.append(one_of(texts["told"], {"n": len(sweeps)}))
        elif not account.people:
            words.append(texts["nobody"])
        else:
            person = account.people[0]
            why = _words(steps.of(person), person, language)
            words += [
                texts["told_else" if others else "not_told"],
                texts[_how_likely(person)].format(who=person.who[1]) + why,
            ]
        if what_next := _next(account, steps, language):
            words.append(texts["next"] + what_next.rstrip("。."))
        lines = ["。".join(words) if language == "zh" else ". ".join(words)]
        if not account.dated:
            lines.append(texts["undated"])
        if not account.configured:
            lines.append(texts["strange"].format(camera=account.camera.title or account.camera.name))
        said.append("\n".join(lines))
    return said[0], said[1]


def _next(account: Account, steps: Steps, language: str) -> str:
    """What can be done: where it is told, and where it isn't of the likeliest; empty where nobody was there."""
    texts = ZH if language == "zh" else EN
    if any(is_photography(incident) for incident in account.incidents):
        return texts["next_told"]
    step = first_not_taken(steps.of(account.people[0])) if account.people else None
    if step is None:
        return ""
    own = f"next_{_case(step)}"
    return texts[own if own in texts else f"next_{step.name}"]


def _apart(incidents: Sequence[Incident]) -> tuple[list[Incident], list[Incident]]:
    """Those of label photography, and the others."""
    return [one for one in incidents if is_photography(one)], [one for one in incidents if not is_photography(one)]


def _shown(person: Witnessed, steps: Sequence[Step], account: Account, local: Callable[[float], str]) -> dict[str, Any]:
    return {
        "who": person.who[1],
        "picture": f"data:image/jpeg;base64,{base64.b64encode(person.picture).decode()}" if person.picture else "",
        "begin": local(person.moments[0].at),
        "end": local(person.moments[-1].at),
        "looks": len(person.moments),
        "why": both(lambda language: _words(steps, person, language)),
        "steps": [(_mark(step), _both_words(step)) for step in until_decided(steps)],
        "strip": strip(person, account.since, account.until),
        "acts": [(act.kind.value, local(act.started_at)) for act in person.acts_in_order],
    }


def _words(steps: Sequence[Step], person: Witnessed, language: str) -> str:
    """What became of somebody, in a sentence."""
    texts = ZH if language == "zh" else EN
    if person.incident is not None:
        severity = SEVERITY_NAMES[language][person.incident.severity.value]
        return texts["told_step"].format(severity=severity, sentence=sentence(person.incident, language))
    why = first_not_taken(steps)
    return _step_words(why if why is not None else steps[-1], language)


def _mark(step: Step) -> str:
    """Taken, not taken, or not taken though that decides nothing: the class of its line."""
    return "taken" if step.taken else "weak" if step.name in EXPLAIN_PHOTO else "not"


def _both_words(step: Step) -> Markup:
    return both(lambda language: _step_words(step, language))


def _case(step: Step) -> str:
    """Name of the text that tells a step."""
    said = step.said
    match step.name:
        case "forbidden" if said["few"]:
            return "forbidden_more" if step.taken else "forbidden_few"
        case "photo" if step.taken and not said["n"]:
            return "photo_scans"
        case "photo" if not step.taken and said["likeliest"] is None:
            return "photo_blank"
        case "photo" if not step.taken and said["most"] >= said["least"]:
            return "photo_short"
        case "enough" if step.taken and (said["n"] < said["least"] or said["parcels"] < said["least_parcels"]):
            return "enough_together"
        case "sure" if said["score"] is None:
            return "sure_apart"
        case "sure" if said["least"] == OFF:
            return "sure_off"
    return f"{step.name}_{'yes' if step.taken else 'no'}"


def _step_words(step: Step, language: str) -> str:
    texts, said, name = (ZH if language == "zh" else EN), dict(step.said), _case(step)
    comma = "、" if language == "zh" else ", "
    if "zones" in said:
        said["zones"] = comma.join(said["zones"])
    match step.name:
        case "near":
            said = _compared(said, "height", 0, taken=step.taken)
        case "device":
            said["side"] = round(said["side"] or 0)
            said["kinds"] = comma.join(f"{texts[kind]} {n}" for kind, n in said["kinds"].items())
        case "photo":
            said = _compared(said, "most", 2, taken=step.taken or name == "photo_short")
            said["likeliest"] = texts[said["likeliest"]] if said["likeliest"] else ""
        case "sure" if said["score"] is not None:
            said = _compared(said, "score", 2, taken=step.taken)
    if name == "photo_scans":
        said["n"] = said["scans"]
    words = one_of(texts[name], said)
    because = texts["because"].format(because=said["because"]) if said.get("because") else ""
    return words + because


def _compared(said: Mapping[str, Any], name: str, digits: int, *, taken: bool) -> dict[str, Any]:
    """A value and the least asked for, rounded so that one below the other doesn't read as equal."""
    scale = 10**digits
    value, least = said[name] * scale, said["least"] * scale
    whole = (round(value), round(least)) if taken else (floor(value + 1e-9), ceil(least - 1e-9))
    return {**said, **{key: f"{n / scale:.{digits}f}" for key, n in zip((name, "least"), whole, strict=True)}}


def strip(person: Witnessed, since: float, until: float) -> Strip:
    """Shapes of one person from one frame time to another."""
    scale = WIDTH / max(until - since, 1e-3)

    def x(at: float) -> float:
        return round((min(max(at, since), until) - since) * scale, 1)

    blocks: list[tuple[float, float, str]] = []
    for moment, following in zip(person.moments, [*person.moments[1:], None], strict=True):
        if moment.chances is None:
            continue
        kind = KINDS[moment.chances.index(max(moment.chances))]
        until_at = moment.at + LONGEST_S if following is None else min(following.at, moment.at + LONGEST_S)
        begin, width = x(moment.at), round(x(until_at) - x(moment.at), 1)
        if blocks and blocks[-1][2] == kind and abs(sum(blocks[-1][:2]) - begin) < 0.15:
            blocks[-1] = blocks[-1][0], round(begin + width - blocks[-1][0], 1), kind
        else:
            blocks.append((begin, width, kind))
    acts = [
        (x(act.started_at), max(2.0, round(x(act.ended_at) - x(act.started_at), 1)), act.kind.value)
        for act in person.acts.values()
    ]
    return Strip(_belief(person.moments, x), blocks, acts)


def _belief(moments: Sequence[Moment], x: Callable[[float], float]) -> str:
    """SVG path of the belief over time; it breaks off where the person is out of view."""
    parts, last = [], float("-inf")
    for moment in moments:
        parts.append(f"{'L' if moment.at - last <= BREAK_S else 'M'}{x(moment.at)},{_height(moment.belief)}")
        last = moment.at
    return "".join(parts)


def _height(belief: float) -> float:
    return round(HEIGHT * (1 - belief), 1)


def _how_likely(person: Witnessed) -> str:
    """The text that names who is likeliest of all, be that little."""
    return "hardly" if person.belief < HARDLY and not person.acts_of(ActKind.PHOTO) else "likeliest"


def _sentence(incident: Incident) -> Markup:
    return both(lambda language: sentence(incident, language))


def _severity(incident: Incident) -> Markup:
    return both(lambda language: SEVERITY_NAMES[language][incident.severity.value])


def _kind(incident: Incident) -> Markup:
    return both(lambda language: KIND_NAMES[language][incident.kind.value])
