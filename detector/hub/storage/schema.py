"""Tables of the hub, for SQLite and PostgreSQL alike; `migrations/` brings a database to this shape.

Times are Unix seconds (UTC). `alerts` holds what edges said, as they said it; `incidents` holds where each story
stands now; `changes` numbers the latest change of each, so that open pages and programs can ask for all since the last
that they saw.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

# Numbered rows: an `INTEGER PRIMARY KEY AUTOINCREMENT` never reuses a number, which Last-Event-ID relies on.
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
# Ordered byte by byte, as Python and SQLite do, whatever the database's locale.
BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
# An incident's id, wherever it stands: PostgreSQL looks into no index for what has another collation than its column.
INCIDENT = BYTEWISE


def _required(kind: Any, *names: str) -> list[Column[Any]]:
    """Columns that are never null."""
    return [Column(name, kind, nullable=False) for name in names]


def _key(*names: str) -> list[Column[Any]]:
    """Columns of text that name a row together."""
    return [Column(name, Text, primary_key=True) for name in names]


def _where(condition: str) -> dict[str, Any]:
    """Has an index hold only rows of which that is so."""
    return {f"{dialect}_where": text(condition) for dialect in ("sqlite", "postgresql")}


def _numbered(name: str, *columns: Column[object] | Index | UniqueConstraint) -> Table:
    number = Column("number", NUMBER, primary_key=True, autoincrement=True)
    return Table(name, metadata, number, *columns, sqlite_autoincrement=True)


alerts = _numbered(
    "alerts",
    Column("id", Text, nullable=False, unique=True),
    *_required(Text, "site", "edge", "epoch"),
    Column("seq", BigInteger, nullable=False),
    Column("incident", INCIDENT, nullable=False),
    Column("phase", Text, nullable=False),
    *_required(Float, "sent_at", "received_at"),
    # The whole envelope as it was signed, but for the picture, which `snapshots` holds: `Store.envelopes` joins them.
    Column("envelope", JSON, nullable=False),
    Index("alerts_by_incident", "incident", "sent_at", "seq"),
    # Which numbers of an edge came, where it says that it dropped some.
    Index("alerts_by_number", "site", "edge", "epoch", "seq"),
    # Those that came late, for the page that tells of gaps: `gaps.LATE` is this condition, word by word.
    Index("alerts_late", "sent_at", **_where("received_at - sent_at > 60")),
)

streams = Table(
    "streams",
    metadata,
    *_key("site", "edge", "epoch"),
    *_required(BigInteger, "lowest", "highest", "received"),
    # Of those that never came, how many the edge said that it dropped.
    Column("dropped", BigInteger, nullable=False, server_default="0"),
)

# Numbers that an edge said will never come, and why.
dropped = _numbered(
    "dropped",
    *_required(Text, "site", "edge", "epoch"),
    *_required(BigInteger, "first", "last"),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("site", "edge", "epoch", "first"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", INCIDENT, primary_key=True),
    *_required(Text, "site", "edge", "epoch"),
    Column("seq", BigInteger, nullable=False),
    Column("sent_at", Float, nullable=False),
    *_required(Text, "phase", "kind", "severity"),
    *_required(Float, "started_at", "ended_at"),
    *_required(Integer, "labels_low", "labels_best", "labels_high"),
    *_required(JSON, "record", "announced_clips"),
    Column("snapshot", NUMBER),
    Column("verdict", Text),
    Column("camera", Text, nullable=False),
    Column("zone", Text),
    Column("score", Float, nullable=False),
    # `alert`, `digest` or `double`, and the shift whose alert budget it takes from: see `budget` and `doubles`.
    *_required(Text, "told", "shift"),
    # How bad it is, as one number that the review desk's queue is ordered by: see `harm`.
    Column("harm", BigInteger, nullable=False, server_default="0"),
    # When a replay of recordings brought it; null where it was found while it happened: see `replays`.
    Column("replayed_at", Float),
    # The incident that is shown in its stead, where it is a `double`.
    Column("same_as", INCIDENT),
    # The piece of floor, where zones of other cameras may show it too: see `spots`.
    Column("spot", Text),
    # Whether nobody can say that its photos were taken, however grave else it is.
    Column("unsure", Boolean, nullable=False, server_default=false()),
    # All that the feed, the day and the weeks are counted and narrowed by, without reading the rows themselves.
    Index(
        "incidents_by_time",
        "started_at",
        "id",
        "told",
        "kind",
        "severity",
        "unsure",
        "verdict",
        "site",
        "camera",
        "zone",
        "labels_low",
        "labels_high",
        "replayed_at",
        "edge",
        "ended_at",
    ),
    Index("incidents_by_shift", "shift", "told"),
    Index("incidents_by_kind", "kind", "severity", "replayed_at"),
    # The few that replays brought, among the many.
    Index("incidents_replayed", "started_at", "site", "edge", "camera", "told", **_where("replayed_at IS NOT NULL")),
    Index("incidents_doubled", "same_as", **_where("same_as IS NOT NULL")),
    Index("incidents_by_spot", "spot", "started_at", **_where("spot IS NOT NULL")),
    # What became of the like of one at its camera, and when they began.
    Index(
        "incidents_by_camera",
        "site",
        "camera",
        "started_at",
        "id",
        "edge",
        "kind",
        "zone",
        "told",
        "verdict",
        "severity",
        "unsure",
        "labels_low",
        "labels_high",
    ),
    # The review desk's queue, box by box, and all that it can be narrowed by.
    Index(
        "incidents_unjudged",
        "site",
        "edge",
        "harm",
        "started_at",
        "id",
        "camera",
        "kind",
        "told",
        "replayed_at",
        "verdict",
        **_where("verdict IS NULL"),
    ),
    # How many of them there are, by all that it can be narrowed by.
    Index(
        "incidents_waiting",
        "site",
        "edge",
        "camera",
        "kind",
        "told",
        "replayed_at",
        "verdict",  # or SQLite reads a larger index instead, one which says that this is null
        **_where("verdict IS NULL"),
    ),
    # All that a least score is proposed from, without reading the few judged ones among the many.
    Index(
        "incidents_judged",
        "started_at",
        "verdict",
        "site",
        "edge",
        "camera",
        "kind",
        "score",
        "id",
        **_where("verdict IS NOT NULL"),
    ),
)

# Zones beside its own in which some of an incident was done: whoever looks at one of them finds it there, too. Its own
# may be among them, where it was another before.
also_in = Table(
    "also_in",
    metadata,
    Column("incident", INCIDENT, ForeignKey("incidents.id"), primary_key=True),
    Column("zone", Text, primary_key=True),
)

# Every place that anything was ever told of, for the feed's filters; an empty zone is none.
places = Table(
    "places",
    metadata,
    *_key("site", "camera", "zone"),
    Column("title", Text, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("alert", NUMBER, ForeignKey("alerts.number"), primary_key=True, autoincrement=False),
    Column("incident", INCIDENT, nullable=False),
    Column("sent_at", Float, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("jpeg", LargeBinary, nullable=False),
    Index("snapshots_by_incident", "incident", "sent_at", "seq"),
)

# Written by one at a time (`database.one_at_a_time`, before anything else of the transaction): else one of a lower
# number than what an open page saw last could come to light after it, and never be told.
changes = _numbered(
    "changes", Column("incident", INCIDENT, nullable=False), Index("changes_by_incident", "incident", unique=True)
)


def _of_segments(name: str) -> Table:
    """Files that belong to one segment each of incidents' recordings."""
    return Table(
        name,
        metadata,
        Column("incident", INCIDENT, primary_key=True),
        Column("segment", Integer, primary_key=True, autoincrement=False),
        Column("site", Text, nullable=False),
        Column("edge", Text, nullable=False),
        Column("camera", Text, nullable=False),
        Column("started_at", Float, nullable=False),
        Column("duration_s", Float, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("sha256", Text, nullable=False),
        Column("file", Text, nullable=False),
        Column("stored_at", Float, nullable=False),
    )


clips = _of_segments("clips")
# What the models saw while a segment was recorded: a side file each, where its edge sends any (`detector.media.sides`).
sides = _of_segments("sides")

# What a segment's video is, as a program of its own found out; `reason` says why it can't be read: see `derived`.
clip_formats = Table(
    "clip_formats",
    metadata,
    Column("incident", INCIDENT, primary_key=True),
    Column("segment", Integer, primary_key=True, autoincrement=False),
    Column("sha256", Text, nullable=False),
    Column("codec", Text),
    Column("width", Integer),
    Column("height", Integer),
    # Whether any browser plays it as it is.
    Column("plays", Boolean, nullable=False),
    Column("reason", Text),
)

# Copies made of segments, or to be made; `name` changes with all that a copy is made from.
derived = Table(
    "derived",
    metadata,
    Column("incident", INCIDENT, primary_key=True),
    Column("segment", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    *_required(Text, "name", "state"),
    # Somebody waits for it; the others are made ahead, not before `due_at`.
    Column("urgent", Boolean, nullable=False),
    *_required(Float, "due_at", "asked_at"),
    Column("tries", Integer, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("reason", Text),
    Column("remarks", JSON, nullable=False),
    Column("file", Text),
    Column("size", BigInteger),
    Column("sha256", Text),
    Index("derived_waiting", "state", "due_at"),
)

verdicts = _numbered(
    "verdicts",
    Column("incident", INCIDENT, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    *_required(Text, "verdict", "note"),
    Column("withdrawn_by", Text),
    Column("withdrawn_at", Float),
    # One of `reviews.REASONS`, or empty.
    Column("reason", Text, nullable=False, server_default=""),
)

notes = _numbered(
    "notes",
    Column("incident", INCIDENT, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("text", Text, nullable=False),
)

# Who went to where an incident was, step by step (`responses.STEPS`), and what they found (`responses.FOUND` or empty).
responses = _numbered(
    "responses",
    Column("incident", INCIDENT, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    *_required(Text, "step", "found"),
)

# Every change of a least score. One that is null leaves it to the edge's own configuration.
thresholds = _numbered(
    "thresholds",
    *_required(Text, "site", "edge"),
    Column("version", BigInteger, nullable=False),
    *_required(Text, "camera", "kind"),
    Column("least_score", Float),
    Column("before", Float),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("evidence", JSON, nullable=False),
    UniqueConstraint("site", "edge", "version"),
)

edges = Table(
    "edges",
    metadata,
    *_key("site", "edge"),
    Column("state", Text),
    Column("state_at", Float),
    Column("health", JSON),
    Column("health_at", Float),
    # How far the edge's clock is ahead of the hub's, seconds: see `health`.
    Column("clock_offset_s", Float),
)

refusals = _numbered(
    "refusals",
    *_required(Text, "topic", "reason"),
    Column("at", Float, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("role", Text, nullable=False, server_default="owner"),
    # Sites and cameras that they see, as `Scope.of` takes them; null is everywhere.
    Column("scope", JSON(none_as_null=True)),
    Column("disabled_at", Float),
    Column("last_seen", Float),
    # Set while the password is one that somebody else made: until then it opens, and must be changed.
    Column("one_time_until", Float),
    # Of the second step of a login, if they have one: what the phone knows, sealed; the time step of the last code.
    Column("step_secret", Text),
    Column("step_used", Integer),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user", Text, ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("sha256", Text, primary_key=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("last_seen", Float),
    Column("address", Text, nullable=False, server_default=""),
    Column("browser", Text, nullable=False, server_default=""),
)

# Revoked ones stay: a name in the audit log must never come to mean another token.
tokens = _numbered(
    "tokens",
    Column("name", Text, nullable=False, unique=True),
    Column("token_sha256", Text, nullable=False, unique=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("scope", JSON(none_as_null=True)),
    *_required(Float, "created_at", "expires_at"),
    Column("last_used", Float),
    Column("revoked_at", Float),
)

audit = _numbered(
    "audit",
    Column("at", Float, nullable=False, index=True),
    Column("user", Text, nullable=False, index=True),
    Column("action", Text, nullable=False, index=True),
    Column("subject", Text, nullable=False, index=True),
    Column("details", JSON, nullable=False),
    Column("hash", Text, nullable=False),
)


# Cameras' pictures and zones

pictures = Table(
    "pictures",
    metadata,
    *_key("site", "edge", "camera"),
    Column("large", Boolean, primary_key=True),
    *_required(Float, "taken_at", "received_at"),
    *_required(Integer, "width", "height"),
    Column("jpeg", LargeBinary, nullable=False),
)

# What an edge says of its cameras: the zones in force, those of its file, and how far a phone can be judged.
layouts = Table(
    "layouts",
    metadata,
    *_key("site", "edge"),
    Column("fields", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

# Every change of a camera's zones. Where they are null, those of the edge's own configuration count again.
zone_changes = _numbered(
    "zone_changes",
    *_required(Text, "site", "edge"),
    Column("version", BigInteger, nullable=False),
    Column("camera", Text, nullable=False),
    Column("zones", JSON(none_as_null=True)),
    Column("before", JSON(none_as_null=True)),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("site", "edge", "version"),
)

zone_proposals = _numbered(
    "zone_proposals",
    *_required(Text, "site", "edge", "camera", "kind"),
    Column("polygon", JSON, nullable=False),
    Column("note", Text, nullable=False),
    Column("incident", INCIDENT),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Float),
    Column("reason", Text, nullable=False),
    Index("zone_proposals_by_state", "state", "site", "edge", "camera"),
)

# What lay in a storage zone at the end of a minute, and what came and was turned in the course of it.
census = Table(
    "census",
    metadata,
    *_key("site", "edge", "camera"),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),  # since the Unix epoch
    Column("zone", Text, primary_key=True),
    Column("at", Float, nullable=False),
    # A `ZoneCensus` without its slots.
    Column("fields", JSON, nullable=False),
    Index("census_by_minute", "minute"),
)

# The newest census of a camera, whole.
census_now = Table(
    "census_now",
    metadata,
    *_key("site", "edge", "camera"),
    Column("at", Float, nullable=False),
    Column("fields", JSON, nullable=False),
)

# Health: who has been watched from when on, and spans in which nobody watched. Edges themselves have no camera, the
# hub has no site either.
watched = Table(
    "watched",
    metadata,
    *_key("site", "edge", "camera"),
    *_required(Float, "since", "until"),
)

gaps = _numbered(
    "gaps",
    # `hub`, `broker`, `edge` or `camera`: whose absence it was.
    *_required(Text, "what", "site", "edge", "camera"),
    Column("began_at", Float, nullable=False, index=True),
    Column("ended_at", Float),
    Index("gaps_open", "what", "site", "edge", "camera", unique=True, **_where("ended_at IS NULL")),
)

# Walk tests: when somebody photographed labels in front of a camera, and what the hub heard of it: see `walk_tests`.
walk_tests = _numbered(
    "walk_tests",
    *_required(Text, "site", "edge", "camera", "user"),
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("parcels", Integer, nullable=False),
    Column("found", Text, nullable=False),
    Column("incident", INCIDENT),
    Column("after_s", Float),
    Column("looked_at", Float, nullable=False),
    # What the camera's box films meanwhile comes as the clip of an incident of this name, which there is none of.
    Column("film", INCIDENT),
    Index("walk_tests_by_camera", "site", "camera", "began_at"),
)

# Notices: who is told, of what, and what became of it.
notice_targets = _numbered(
    "notice_targets",
    Column("name", Text, nullable=False, unique=True),
    *_required(Text, "service", "language"),
    # The address, which is a secret: sealed with the key in the data folder, or the name of where it is found.
    Column("sealed", Text),
    Column("url_env", Text),
    Column("url_file", Text),
    Column("picture", Boolean, nullable=False),
    # The places that its maker sees, as `Scope.of` takes them: it is told of no others.
    Column("scope", JSON(none_as_null=True)),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    # After a failure nothing is tried before this time.
    Column("rests_until", Float, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
)

notice_rules = _numbered(
    "notice_rules",
    Column("target", NUMBER, ForeignKey("notice_targets.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("severity", Text, nullable=False),
    Column("kinds", JSON(none_as_null=True)),
    Column("places", JSON(none_as_null=True)),
    Column("days", JSON(none_as_null=True)),
    Column("hours", Text),
    Column("quiet", Text),
    Column("breaks_through", Boolean, nullable=False),
    Column("per_hour", Integer, nullable=False),
    Column("user", Text, nullable=False),
    # Since when it holds: what came before is not told.
    Column("at", Float, nullable=False),
)

# One row for each incident, target and severity; also summaries and tests. Both the queue and the log.
notices = _numbered(
    "notices",
    Column("target", NUMBER, nullable=False),
    *_required(Text, "target_name", "what"),
    Column("incident", INCIDENT, nullable=False),
    *_required(Text, "severity", "state"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("summary", NUMBER),
    *_required(Float, "created_at", "due_at"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("tried_at", Float),
    Column("answer", Text, nullable=False, server_default=""),
    Index("notices_due", "state", "target", "due_at"),
    Index("notices_by_summary", "summary"),
    UniqueConstraint("incident", "target", "severity"),
)

# How far the changes have been looked through for what is to be told.
notice_place = Table(
    "notice_place",
    metadata,
    Column("name", Text, primary_key=True),
    Column("change", BigInteger, nullable=False),
)

# Cameras whose notices are held back for a while; critical ones are told all the same.
notice_pauses = Table(
    "notice_pauses",
    metadata,
    *_key("site", "camera"),
    Column("until", Float, nullable=False),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
)


# Cases and evidence packs

cases = _numbered(
    "cases",
    # Grows with every change by hand, so that nobody overwrites what they haven't seen.
    Column("version", Integer, nullable=False),
    *_required(Text, "title", "note", "people"),
    Column("state", Text, nullable=False, index=True),
    Column("made_by", Text, nullable=False),
    Column("made_at", Float, nullable=False),
)

# With the place of each, so that who may see the case is known even when an incident is gone.
case_incidents = Table(
    "case_incidents",
    metadata,
    Column("case", NUMBER, ForeignKey("cases.number"), primary_key=True, autoincrement=False),
    Column("incident", INCIDENT, primary_key=True, index=True),
    *_required(Text, "site", "camera", "added_by"),
    Column("added_at", Float, nullable=False),
)

# Legal holds: incidents that are kept whatever retention says, in a case or not.
holds = Table(
    "holds",
    metadata,
    Column("incident", INCIDENT, primary_key=True),
    Column("user", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", Text, nullable=False),
)

packs = _numbered(
    "packs",
    Column("case", NUMBER, ForeignKey("cases.number"), nullable=False, index=True),
    Column("made_by", Text, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("state", Text, nullable=False),
    # When its maker last said that it is at work, and how many bytes are done of how many.
    Column("told_at", Float, nullable=False),
    *_required(BigInteger, "done", "total"),
    Column("size", BigInteger),
    Column("sha256", Text),
    Column("reason", Text, nullable=False),
    # The places its incidents are of, as `Scope` has them.
    Column("places", JSON, nullable=False),
)

# What happens to an incident's footage (clips, side files, copies, pictures): it is announced before it is deleted.
# The incident itself stays, with all that people made of it.
# What came late, after that, is announced anew: then `announced_at` is later than `deleted_at`.
retention = Table(
    "retention",
    metadata,
    Column("incident", INCIDENT, primary_key=True),
    Column("announced_at", Float, nullable=False, index=True),
    Column("deleted_at", Float, index=True),
    # `age` or `space`, and by which rule: a key of `RetentionConfig`.
    *_required(Text, "why", "rule"),
    Column("bytes", BigInteger, nullable=False),
)

# Files that no row speaks of any more; a row goes when its file is gone. Relative to the folder of clips.
doomed = Table("doomed", metadata, Column("file", Text, primary_key=True))


# Which keys of edges are believed, and the codes that let edges join: see `edge_keys`, `enrolment`, `rotation`

edge_keys = _numbered(
    "edge_keys",
    *_required(Text, "site", "edge", "key"),
    # `active`, `next` (proved, not used yet), `retired` or `revoked`: see `edge_keys`.
    Column("state", Text, nullable=False),
    Column("since", Float, nullable=False),
    # Whose code let it in; empty where it was pinned at first sight.
    Column("by", Text, nullable=False),
    # Of a retired one: what it signed later, by the edge's own clock, is not believed.
    Column("until", Float),
    Column("ended_by", Text),
    UniqueConstraint("site", "edge", "key"),
)

# One-time codes. `verifier` checks who claims to know one; `answer_key`, erased with time, proves that this hub does.
join_codes = _numbered(
    "join_codes",
    Column("handle", Text, nullable=False, unique=True),
    Column("verifier", Text, nullable=False),
    Column("answer_key", Text),
    # Null is any.
    Column("site", Text),
    Column("edge", Text),
    Column("made_by", Text, nullable=False),
    *_required(Float, "made_at", "expires_at"),
    Column("guesses", Integer, nullable=False),
    Column("used_at", Float),
    Column("used_site", Text),
    Column("used_edge", Text),
    Column("used_key", Text),
)

# The last change of an edge's key that somebody asked for; `new_key` once the edge has proved to hold it.
rotations = Table(
    "rotations",
    metadata,
    *_key("site", "edge"),
    *_required(Text, "id", "asked_by"),
    Column("asked_at", Float, nullable=False),
    Column("new_key", Text),
    Column("done_at", Float),
)

# Who was refused for their key: see `knocks`.
knocks = Table(
    "knocks",
    metadata,
    *_key("site", "edge", "key"),
    Column("reason", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    *_required(Float, "first_at", "last_at"),
)


# Alarms: what was wrong with the system itself, from when to when. Those of the hub have neither site nor edge.
alarms = _numbered(
    "alarms",
    # One of `alarms.KINDS`.
    *_required(Text, "kind", "site", "edge", "camera", "severity"),
    Column("began_at", Float, nullable=False),
    # When it was raised, which is some time after it began.
    Column("raised_at", Float, nullable=False, index=True),
    Column("seen_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("acknowledged_by", Text),
    Column("acknowledged_at", Float),
    # How much was lost by then, where it is about losses: only what exceeds it is news.
    Column("counted", BigInteger, nullable=False),
    Column("facts", JSON, nullable=False),
    Index("alarms_open", "kind", "site", "edge", "camera", unique=True, **_where("ended_at IS NULL")),
    Index("alarms_by_place", "kind", "site", "edge", "camera", "number"),
)
