"""What travels when a replay is published: envelopes go to the hub by HTTP, a line each; its signed answer comes back.

    POST /api/replays/{site}/{edge}   lines of JSON: envelopes as live sends them, marked by `replay` in `after`; in the
                                      headers who brings them, signed (`bringer_headers`), from 2026-11 on
    204                               to nothing at all: the hub knows that replays are published from there
    200                               what became of each, signed by the hub as acknowledgements are (`to_edge`)
    401, 413, 422                     nothing of it is taken: `reason` says why
    503                               others publish just now: it may be sent again

Not by MQTT, since a broker gives one name one session, which is the live worker's: whoever came second would push the
other out. The answer says what an acknowledgement would, so nothing has to wait in an outbox.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.errors import WireError
from detector.wire.clips import header, header_number
from detector.wire.signatures import signed

PATH = "/api/replays/{site}/{edge}"
MOST = 100  # envelopes at once
LARGEST = 16 * 2**20  # bytes of them all
NEW, KNOWN, DOUBLE, REFUSED = "new", "known", "double", "refused"
OUTCOMES = (NEW, KNOWN, DOUBLE, REFUSED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an envelope.

    Attributes:
        id: Of the envelope.
        outcome: `new`, `known` where it had come before, `double` where the hub knew the event from another, `refused`.
        shown: Id of the incident that the hub shows; empty where it was refused.
        wants_clip: Whether the hub would like the clip.
        why: It was refused.
    """

    id: str
    outcome: str
    shown: str = ""
    wants_clip: bool = False
    why: str = ""


def bringer_headers(site: str, edge: str, at: float, key: Ed25519PrivateKey) -> dict[str, str]:
    """Headers that say who publishes, before the body has come: so an edge needn't wait with strangers who are slow.

    Args:
        site: Of the edge.
        edge: Its name.
        at: Unix seconds now.
        key: The edge's.
    """
    told = {"X-Labelwatch-At": f"{at:.3f}"}
    return {**told, "X-Labelwatch-Signature": signed(_bringer(told, site, edge), key)["signature"]}


def bringer(headers: Mapping[str, str], site: str, edge: str) -> dict[str, Any]:
    """What such headers say, to be verified: `at` (Unix seconds), `edge`, `site`, `signature`, `what`.

    Raises:
        WireError: A header is missing or malformed.
    """
    return {**_bringer(headers, site, edge), "signature": header(headers, "Signature")}


def _bringer(headers: Mapping[str, str], site: str, edge: str) -> dict[str, Any]:
    return {"what": "replay", "site": site, "edge": edge, "at": header_number(headers, "At")}


def replay_id(incident: str, edge: str) -> str:
    """What the hub calls an incident that a replay of this edge found.

    The same whenever it is replayed. Not the id that live may have given it: what live told is never touched.
    """
    return f"{incident}-replay-{edge}"


def marked(
    after: Mapping[str, Any],
    *,
    run: str,
    edge: str,
    file: str | None = None,
    offset_s: float | None = None,
    picture_at: float | None = None,
) -> dict[str, Any]:
    """An incident as a replay tells it.

    Args:
        after: From `wire.incident_record`, or alike.
        run: Names the replay: its own incidents are no doubles of each other.
        edge: Who publishes it.
        file: Name of the recording that it begins in, no path.
        offset_s: Where in that it begins, seconds.
        picture_at: When its picture was taken, Unix seconds; the envelope was made much later.
    """
    replay = {"run": run, "id": after["id"], "file": file, "offset_s": offset_s, "picture_at_unix": picture_at}
    return {**after, "id": replay_id(str(after["id"]), edge), "replay": replay}


def envelope_id(fields: Mapping[str, Any]) -> str:
    """The id of an envelope of a replay: equal for an equal incident, in whatever run it was found."""
    after = {name: value for name, value in fields["after"].items() if name != "replay"}
    told = {"site": fields["site"], "edge": fields["edge"], "after": after}
    return hashlib.sha256(b"replay\0" + wire.canonical(told)).hexdigest()[:32]


def check(fields: Mapping[str, Any]) -> None:
    """Hold an envelope to what a replay tells.

    Raises:
        WireError: It is marked otherwise, or not at all.
    """
    after = fields.get("after")
    replay = after.get("replay") if isinstance(after, dict) else None
    if not isinstance(after, dict) or not isinstance(replay, dict):
        raise WireError("not of a replay")
    if not isinstance(replay.get("run"), str) or not isinstance(replay.get("id"), str):
        raise WireError("a replay needs its run, and the incident its own id")
    if after["id"] != replay_id(replay["id"], str(fields["edge"])):
        raise WireError("not the id of an incident of this edge's replays")
    if fields.get("notify"):
        raise WireError("a replay notifies nobody")


def answers_payload(answers: list[Answer]) -> bytes:
    """The hub's answer, to be signed."""
    return wire.encode({"schema": wire.SCHEMA, "answers": [asdict(one) for one in answers]})


def read_answers(payload: bytes) -> list[Answer]:
    """The hub's answer.

    Raises:
        WireError: It is none.
    """
    told = wire.decode(payload).get("answers")
    if not isinstance(told, list):
        raise WireError("no answer to what was published")
    answers = []
    for one in told:
        try:
            answer = Answer(**{field.name: one[field.name] for field in fields(Answer)})
        except (TypeError, KeyError) as error:
            raise WireError("an answer that lacks something") from error
        is_text = all(isinstance(text, str) for text in (answer.id, answer.outcome, answer.shown, answer.why))
        if not is_text or answer.outcome not in OUTCOMES or not isinstance(answer.wants_clip, bool):
            raise WireError("an answer that says nothing known")
        answers.append(answer)
    return answers
