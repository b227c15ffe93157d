"""What the API takes and tells, as `/api/openapi.json` describes it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from detector.hub.pages.incidents import LONGEST_VERDICT_NOTE

SeverityName = Literal["info", "warning", "critical"]
VerdictName = Literal["true", "authorised", "false", "unclear"]


class Error(BaseModel):
    """Why there is no other answer."""

    reason: Any


class Count(BaseModel):
    """A number that isn't known exactly."""

    low: int
    best: int
    high: int


class Act(BaseModel):
    """What one person did in one stretch of time; `score` is how sure that is."""

    model_config = ConfigDict(extra="allow")

    kind: str
    started_at_unix: float
    ended_at_unix: float


class Segment(BaseModel):
    """A piece of the recording; `url` leads to what the asker may see of it."""

    segment: int
    started_at: str
    duration_s: float
    sha256: str = Field(description="of the recording as it came; a redacted copy has another")
    size: int = Field(description="likewise, bytes")
    url: str


class Incident(BaseModel):
    """An incident as it stands now. Times are ISO 8601 (UTC) and Unix seconds."""

    id: str
    site: str
    edge: str
    camera: str
    camera_title: str
    zone: str | None
    spot: str | None = Field(description="the piece of floor that its zone shows, where other cameras show it, too")
    other_zones: list[str] = Field(description="where some of it happened, too: `zone` asks for any of them")
    kind: str
    severity: str
    score: float
    told: Literal["alert", "digest"]
    origin: Literal["live", "replay"]
    ongoing: bool = Field(
        description="false where its end never came, too: an hour after `ended_at`, or after 1.25 times its length if "
        "that is more; by time alone, which neither `changed_since` nor an event tells"
    )
    started_at: str
    ended_at: str
    started_at_unix: float
    ended_at_unix: float
    clock_ahead_s: float = Field(
        description="by how much its box's clock, which acts and clips are by, is ahead of the hub's, by which it "
        "began and ended; 0 within five minutes, below 0 where it had yet to be set"
    )
    labels_exposed: Count
    sentence: dict[str, str]
    verdict: str | None
    snapshot: str | None
    page: str


class Side(BaseModel):
    """What another camera told of an incident, at the same spot: people were told of it once."""

    id: str
    edge: str
    camera: str
    camera_title: str
    zone: str | None
    severity: str
    started_at: str
    ended_at: str
    labels_exposed: Count
    sentence: dict[str, str]
    clips: list[Segment]


class Judgement(BaseModel):
    """What somebody judged it to be; one that was withdrawn no longer counts."""

    number: int
    user: str
    at: str
    verdict: str
    reason: str
    note: str
    withdrawn_by: str | None


class ResponseStep(BaseModel):
    """What somebody said of going to where it was: that they set out, are there, or don't go after all."""

    number: int
    user: str
    at: str
    step: Literal["going", "there", "off"]
    found: str = Field(description="there: `stopped`, `police`, `gone` (nobody there any more), `in_order`, or empty")


class IncidentInFull(Incident):
    """With all that is known of it."""

    findings: list[str]
    facts: dict[str, Any]
    acts: list[Act]
    acts_left_out: int = Field(description="how many more there were: of very many, photos and the first are told")
    clips: list[Segment]
    verdicts: list[Judgement]
    responses: list[ResponseStep] = Field(description="who went there, the earliest step first")
    confirmed_by: list[str] = Field(description="what replays found of it again")
    seen_by: list[Side] = Field(description="what other cameras of its spot told of it")


class Gone(BaseModel):
    """An incident that changed, and isn't among those asked for as it stands now: whoever knows it forgets it."""

    id: str
    same_as: str | None = Field(description="the one that tells it now, where another camera or a replay told it, too")


class Incidents(BaseModel):
    """Newest first; `next` is the cursor of the next page, null on the last."""

    incidents: list[Incident]
    next: str | None
    gone: list[Gone] = Field([], description="with `changed_since`: what changed, and is not asked for as it stands")
    changed_until: str | None = Field(None, description="with `changed_since`: what to give there the next time")


class Judging(BaseModel):
    """A verdict to give. `over` names the verdict of somebody else that it may replace.

    `seen` is the severity that was looked at: where it is graver by now, or a graver one stands in its stead, only
    `true` is taken.
    """

    model_config = ConfigDict(extra="forbid")

    verdict: VerdictName
    reason: str = Field("", max_length=40)
    note: str = Field("", max_length=LONGEST_VERDICT_NOTE)
    over: int = Field(0, ge=0, le=2**62)
    seen: Literal["info", "warning", "critical"] | None = None


class CaseTold(BaseModel):
    """Incidents that belong together."""

    number: int
    title: str
    state: str
    note: str
    people: str
    made_by: str
    made_at: str
    incidents: list[str]


class CaseInFull(CaseTold):
    """With its totals; incidents judged authorised or false are left out of them."""

    labels_exposed: Count
    photos: int
    seconds: float


class Cases(BaseModel):
    """Newest first; `next` is the cursor of the next page, null on the last."""

    cases: list[CaseTold]
    next: str | None


class CameraTold(BaseModel):
    """A camera as last reported; `age_s` is that of its last frame, now."""

    site: str
    edge: str
    name: str
    title: str
    state: str
    reason: str
    age_s: float | None
    fps: float | None


class Cameras(BaseModel):
    """Those that aren't watched first."""

    cameras: list[CameraTold]


class DayTold(BaseModel):
    """One day of the site's time zone, incidents judged authorised or false left out, of labels those of notes, too.

    A note that was judged true counts.
    """

    day: str
    alerts: int
    digest: int
    labels_low: int
    labels_high: int


class Stats(BaseModel):
    """What happened day by day."""

    timezone: str
    days: list[DayTold]
