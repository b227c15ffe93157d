"""What a configuration means: it enters with a time, words on what is fine and what raises what leave.

Nothing here decides: policies, shifts and severities are asked of the modules that the pipeline asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from detector.alerts.severity import SERIAL_PHOTOS, severity
from detector.clock import on_the_wall
from detector.config import DAYS, MOST_USUAL, Calendar, Camera, EdgeConfig, Exemption, Policy, Shift, Zone
from detector.rules.noted import MOVES_ON_S, QUICK_S
from detector.rules.orientation import BY_HAND
from detector.rules.policy import SUBJECTS, Permission, holds, permission
from detector.sentences import KIND_NAMES, LANGUAGES, SEMICOLON, SEVERITY_NAMES
from detector.shifts import Shifts
from detector.values import CountRange, IncidentKind
from detector.wire import OFF

TEXTS: dict[str, tuple[str, str]] = {
    "site": (
        "站点 {site}，边缘设备 {edge}；时间按 {timezone}",
        "Site {site}, edge {edge}; times are those of {timezone}",
    ),
    "at": ("{when}：{shift}", "{when}: {shift}"),
    "on_shift": ("班次 {shift}", "shift {shift}"),
    "working": ("工作时间", "working time"),
    "not_working": ("非工作时间", "out of hours"),
    "calendar": ("班次", "Shifts"),
    "calendar_none": ("没有写班次：全天都算工作时间", "none given: it is always working time"),
    "shift": ("{name}：{begins}–{ends}，{days}", "{name}: {begins}–{ends}, {days}"),
    "overnight": ("（跨夜，算开始的那一天）", " (past midnight, counted to the day it begins)"),
    "every_day": ("每天", "every day"),
    "closed": ("停工日：{days}", "closed: {days}"),
    "rules": ("规则", "Rules"),
    "photo": (
        (
            "拍照：看人手里的动作，证据够了才算一次，至少 {least}，{gap}没有迹象就算结束；"
            "别的动作每一段被当成拍照的概率大致不超过 {error}，所以只拍一次不告警"
        ),
        (
            "photo: looks at a person's hands add up until the evidence is enough, over {least} at least; "
            "it ends {gap} after the last sign; at most about {error} of stretches of anything else pass for a photo, "
            "which is why one photo is no alert"
        ),
    ),
    "sweep": (
        (
            "连续拍摄：至少 {acts} 次拍照、{parcels} 件不同包裹，相邻间隔不超过 {window}；"
            "同一人在一台摄像机的几个区域里拍的合在一起算；"
            "{quick}以内拍完、{moves}内包裹被拿走的不算；得分低于 {sure} 只作提示"
        ),
        (
            "sweep: {acts} photos or more, of {parcels} different parcels or more, each within {window} of the one "
            "before; what one person does in several zones of a camera counts together; those over within {quick} "
            "whose parcel moves on within {moves} don't count; scored below {sure} it is only a note"
        ),
    ),
    "orientation": (
        "面单朝上：一片至少 {least} 件、静置 {settle} 秒以上；每区平均每月误报不超过 {alarms} 次；平时比例{rate}",
        (
            "pattern: a patch of {least} parcels or more that have lain still for {settle} s; "
            "on average at most {alarms} a month and zone; usual share {rate}"
        ),
    ),
    "rate_learned": ("先按 {rate} 算，之后自学", "{rate} until it is learned"),
    "rate_by_shift": ("先按 {rate} 算，之后各班次自学", "{rate} until it is learned, shift by shift"),
    "rate_fixed": ("固定为 {rate}", "fixed at {rate}"),
    "lingering": (
        "停留：在包裹旁 {after}没有干活的迹象，其中蹲着或弯腰则 {crouched}；不允许停留时，在该区 {after}，不管做什么",
        (
            "lingering: {after} beside parcels without any sign of work, or {crouched} of it squatting or bending; "
            "where and when nobody should be, {after} anywhere, whatever they do"
        ),
    ),
    "blind_edge": (
        "死角：从死角入口消失 {away}，或{within}进去 {visits} 次、每次至少 {visit}（看得清没带包裹的不算）",
        (
            "blind corner: out of sight for {away}, or {visits} times {within} for {visit} at least; "
            "times plainly without a parcel don't count"
        ),
    ),
    "within_shift": ("一班内", "a shift"),
    "within_day": ("一天内", "a day"),
    "blind_edge_off": ("死角：未启用，没有 blind_edge 区域", "blind corner: off, no zone is of kind blind_edge"),
    "tamper": (
        (
            "摄像机：被遮挡、转动、失焦、过暗持续 {after}，画面或叠加时钟停住 {frozen}，"
            "时间倒退超过 {step}，实时画面中断 {silent}"
        ),
        (
            "camera: covered, turned, out of focus or too dark for {after}, not changing at all, or its printed "
            "clock standing, for {frozen}, its time set back by more than {step}, or, live, no picture for {silent}"
        ),
    ),
    "join": (
        (
            "同一地点、同一些人、间隔 {join}内的发现合成一起事件，最长 {longest}，摄像机异常则到恢复为止；"
            "只有变得更严重时才再次提醒"
        ),
        (
            "findings of one place, the same people and within {join} are one incident, of {longest} at most "
            "(a camera's trouble until it is over); people are notified again only when it has become more severe"
        ),
    ),
    "clips": (
        "片段从开始前 {before}到最后迹象后 {after}，每段最长 {segment}",
        "a clip runs from {before} before the beginning to {after} after the last sign, in pieces of {segment}",
    ),
    "zones_drawn": (
        "区域是在监控中心的页面上画的，不是配置文件里的",
        "its zones were drawn at the hub, not those of the file",
    ),
    "camera": ("摄像机 {name}", "Camera {name}"),
    "kind_off": ("“{kind}”不成事件：在监控中心关闭了", "“{kind}” raises no incident: it is switched off at the hub"),
    "least_score": ("得分低于 {score} 的“{kind}”不成事件", "“{kind}” scored below {score} raises no incident"),
    "kind_storage": ("堆放区", "parcels lie here"),
    "kind_walkway": ("通道", "a walkway"),
    "kind_packing": ("打包区：在此停留就是干活", "packing: staying here is work"),
    "kind_blind_edge": ("死角入口", "the edge of a blind corner"),
    "kind_ignore": (
        "忽略：这里什么也不看，拍放在这里的包裹也不算",
        "ignored: nothing here is looked at, and a photo of what lies here doesn't count",
    ),
    "during": ("班次 {shift}", "during {shift}"),
    "outside": ("班次以外", "outside the shifts"),
    "always": ("任何时候", "at any time"),
    "closed_day": ("停工日", "on closed days"),
    "one_alone": ("（一人时）", " (one person alone)"),
    "up_to": ("（{n} 人以内）", " (up to {n} people)"),
    "from_on": ("（{n} 人及以上）", " ({n} people or more)"),
    "just": ("（{n} 人时）", " ({n} people)"),
    "between": ("（{a} 至 {b} 人）", " ({a} to {b} people)"),
    "fine": ("允许：{what}", "fine: {what}"),
    "raises": ("触发：{what}", "raises: {what}"),
    "because": ("依据例外：{why}", "by exemption: {why}"),
    "phones": ("拍面单", "photographing labels"),
    "scanners": ("扫码", "scanning"),
    "staying": ("停留在此", "being here"),
    "to": ("{what} → {severity}", "{what} → {severity}"),
    "to_critical": ("{what} → {severity}（{n} 次起为{more}）", "{what} → {severity} ({more} from {n} on)"),
    "scans_count": ("连续扫码", "scanning label after label"),
    "patch": (
        "面单成片朝上 → {severity}（非工作时间，或 {n} 件以上是人翻的，为{more}）",
        "a patch of labels facing up → {severity} ({more} out of hours, or with {n} or more turned by people)",
    ),
    "zone_rate": ("平时面单朝上比例：{rate}", "usual share of labels up: {rate}"),
    "zone_spot": (
        "和 {others} 看的是同一处（{spot}）：同一件事只算一次",
        "the same spot ({spot}) as {others}: what they tell of one event is told once",
    ),
    "zone_spot_alone": (
        "这里叫 {spot}；本文件里没有别的摄像机看它",
        "spot {spot}, which no other camera of this file shows",
    ),
    "no_patch": (
        "平时就有 {most} 以上朝上，不判断面单成片朝上",
        "labels lie up here as a rule, more than {most} of them: no patch is told",
    ),
    "linger": ("在包裹旁停留 → {severity}", "lingering beside parcels → {severity}"),
    "corner": (
        "走进死角不出来 → {severity}（带着包裹、{within}多次或不允许停留时为{more}）",
        "out of sight for long → {severity} ({more} with parcels, often in {within}, or when nobody should be here)",
    ),
    "tampered": ("摄像机异常 → {severity}", "camera trouble → {severity}"),
    "dark_is_less": ("（班次以外过暗为{less}）", " (too dark out of hours → {less})"),
    "more": (
        "面单越多、连拍、翻面单、非工作时间、多人、蹲着，越严重",
        "more labels, photo after photo, parcels turned, out of hours, company and squatting make any of it graver",
    ),
    "exemption": ("例外“{reason}”：{what}{when}；{state}", "exemption “{reason}”: {what}{when}; {state}"),
    "makes_allowed": ("允许{what}", "{what} is fine"),
    "makes_forbidden": ("不允许{what}", "{what} is not fine"),
    "in_shifts": ("，限班次 {shifts}", ", in shift {shifts}|, in shifts {shifts}"),
    "at_most": ("，{n} 人以内", ", while one person alone does it|, while at most {n} people do it"),
    "until": ("，到 {day} 为止", ", until {day}"),
    "holds": ("此时有效", "holds then"),
    "holds_not": ("此时无效", "does not hold then"),
    "then": ("此时（{when}）", "then ({when})"),
    "line": ("{title}：{words}", "{title}: {words}"),
}
WEEKDAYS = {
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
COMMA = {"zh": "、", "en": ", "}


@dataclass(frozen=True, slots=True)
class _Say:
    """The texts of one language."""

    language: str

    def __call__(self, key: str, n: int = 0, **values: Any) -> str:
        text = TEXTS[key][LANGUAGES.index(self.language)]
        if "|" in text:
            one, many = text.split("|")
            text = one if n == 1 else many
        return text.format(n=n, **values)

    def listed(self, words: Sequence[str]) -> str:
        return COMMA[self.language].join(words)

    def span(self, seconds: float) -> str:
        minutes, rest = divmod(seconds, 60)
        if minutes and not rest:
            return f"{minutes:g} 分钟" if self.language == "zh" else f"{minutes:g} min"
        return f"{seconds:g} 秒" if self.language == "zh" else f"{seconds:g} s"

    def severity(self, *kinds: IncidentKind, photos: int = 0, **facts: Any) -> str:
        """Name of the severity that a finding of these facts has."""
        found = severity(kinds, photos, CountRange(photos, photos, photos), facts)
        return SEVERITY_NAMES[self.language][found.value]

    def days(self, days: Sequence[str]) -> str:
        """Days of the week, three or more in a row as a range."""
        if len(set(days)) == len(DAYS):
            return self("every_day")
        rows: list[list[int]] = []
        for n in (n for n, day in enumerate(DAYS) if day in days):
            if rows and rows[-1][-1] == n - 1:
                rows[-1].append(n)
            else:
                rows.append([n])
        names, to = WEEKDAYS[self.language], "至" if self.language == "zh" else "–"
        words = [
            f"{names[row[0]]}{to}{names[row[-1]]}" if len(row) > 2 else self.listed([names[n] for n in row])
            for row in rows
        ]
        return self.listed(words)


def explain(config: EdgeConfig, at: float, language: str, drawn: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What a configuration means, in words, and what holds at one time.

    Args:
        config: Of an edge.
        at: Unix seconds of the time asked for.
        language: `zh` or `en`.
        drawn: Cameras whose zones were drawn at the hub (`in_force.py`); `config` has them.

    Returns:
        JSON-ready: `site`, `calendar`, `at`, `rules`, `incidents` and `cameras`, each of these with its `zones`.
        Everything for people stands under `words`; a permission has `phones`, `scanners`, `staying`, and `people` as
        the fewest and the most (`None`: any number) whom it is for.
    """
    say = _Say(language)
    shifts = Shifts(config.calendar, config.timezone)
    moment = _Moment(shifts, at)
    kept = config.incidents
    used = {zone.kind for camera in config.cameras for zone in camera.zones}
    return {
        "site": {
            "site": config.site,
            "edge": config.edge,
            "timezone": config.timezone,
            "words": say("site", site=config.site, edge=config.edge, timezone=config.timezone),
        },
        "calendar": {"title": say("calendar"), "words": _calendar(config.calendar, say)},
        "at": moment.record(say),
        "rules": {"title": say("rules"), "words": _rules(config, "blind_edge" in used, say)},
        "incidents": {
            "words": [
                say("join", join=say.span(kept.join_s), longest=say.span(kept.longest_s)),
                say("more"),
                say(
                    "clips",
                    before=say.span(kept.pre_roll_s),
                    after=say.span(kept.post_roll_s),
                    segment=say.span(kept.segment_s),
                ),
            ]
        },
        "cameras": [_camera(config, camera, moment, camera.name in drawn, say) for camera in config.cameras],
    }


def lines(explained: dict[str, Any]) -> Iterator[str]:
    """An explanation as plain text, indented."""
    yield explained["site"]["words"]
    yield explained["calendar"]["title"]
    yield from _indented(explained["calendar"]["words"])
    yield explained["at"]["words"]
    yield explained["rules"]["title"]
    yield from _indented([*explained["rules"]["words"], *explained["incidents"]["words"]])
    for camera in explained["cameras"]:
        yield ""
        yield camera["words"]
        yield from _indented(camera["raises"])
        for zone in camera["zones"]:
            yield f"  {zone['words']}"
            yield from _indented(zone["exemptions_words"], 2)
            yield from _indented([hours["words"] for hours in zone["hours"]], 2)
            yield from _indented(zone["raises"], 2)
            yield from _indented([then["words"] for then in zone["then"]], 2)


def _indented(words: Sequence[str], by: int = 1) -> Iterator[str]:
    return (f"{'  ' * by}{line}" for line in words)


class _Moment:
    """The time asked for: the shift that is on, and the day it belongs to."""

    def __init__(self, shifts: Shifts, at: float) -> None:
        duty = shifts.at(at)
        self.local = shifts.local(at)
        self.shift = duty.name if duty else None
        self.day = shifts.day(at)
        self.working = shifts.working(at)

    def words(self, say: _Say) -> str:
        return f"{WEEKDAYS[say.language][self.local.weekday()]} {on_the_wall(self.local, '%Y-%m-%d %H:%M')}"

    def record(self, say: _Say) -> dict[str, Any]:
        state = [say("on_shift", shift=self.shift)] if self.shift else []
        state.append(say("working" if self.working else "not_working"))
        return {
            "time": self.local.isoformat(timespec="minutes"),
            "shift": self.shift,
            "working": self.working,
            "words": say("at", when=self.words(say), shift=say.listed(state)),
        }


def _calendar(calendar: Calendar, say: _Say) -> list[str]:
    words = [_shift(shift, say) for shift in calendar.shifts] or [say("calendar_none")]
    if calendar.closed:
        words.append(say("closed", days=say.listed([str(day) for day in calendar.closed])))
    return words


def _shift(shift: Shift, say: _Say) -> str:
    words = say("shift", name=shift.name, begins=shift.begins, ends=shift.ends, days=say.days(shift.days))
    return words + (say("overnight") if shift.ends <= shift.begins else "")


def _rules(config: EdgeConfig, has_blind_edge: bool, say: _Say) -> list[str]:
    rules = config.rules
    sweep, orientation, blind, tamper = rules.sweep, rules.orientation, rules.blind_edge, rules.tamper
    alarms = f"{orientation.false_alarms_per_month:g}"
    return [
        say(
            "photo",
            least=say.span(rules.photo.least_s),
            gap=say.span(rules.photo.gap_s),
            error=_percent(rules.photo.error),
        ),
        say(
            "sweep",
            acts=sweep.least_acts,
            parcels=sweep.least_parcels,
            window=say.span(sweep.window_s),
            sure=f"{sweep.sure:g}",
            quick=say.span(QUICK_S),
            moves=say.span(MOVES_ON_S),
        ),
        say(
            "orientation",
            least=orientation.least_parcels,
            settle=f"{orientation.settle_s:g}",
            alarms=alarms if say.language == "zh" else f"{alarms} false alarm{'' if alarms == '1' else 's'}",
            rate=_rate(config, orientation.usual_rate, say),
        ),
        say(
            "lingering",
            after=say.span(rules.lingering.after_s),
            crouched=say.span(rules.lingering.crouched_after_s),
        ),
        say(
            "blind_edge",
            away=say.span(blind.away_s),
            within=_within(config, say),
            visits=blind.visits,
            visit=say.span(blind.visit_s),
        )
        if has_blind_edge
        else say("blind_edge_off"),
        say(
            "tamper",
            after=say.span(tamper.after_s),
            frozen=say.span(tamper.frozen_s),
            step=say.span(tamper.clock_step_s),
            silent=say.span(tamper.silent_s),
        ),
    ]


def _within(config: EdgeConfig, say: _Say) -> str:
    """In what visits are counted together: where there are no shifts, those of the calendar's day."""
    return say("within_shift" if config.calendar.shifts else "within_day")


def _rate(config: EdgeConfig, rate: float, say: _Say) -> str:
    rule = config.rules.orientation
    key = "rate_fixed" if not rule.learn else "rate_by_shift" if rule.by_shift else "rate_learned"
    return say(key, rate=_percent(rate))


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _camera(config: EdgeConfig, camera: Camera, moment: _Moment, is_drawn: bool, say: _Say) -> dict[str, Any]:
    name = f"{camera.name} · {camera.title}" if camera.title else camera.name
    least = {**config.incidents.least_score, **camera.least_score}
    tampered = say("tampered", severity=say.severity(IncidentKind.TAMPER))
    if config.calendar.shifts or config.calendar.closed:
        tampered += say("dark_is_less", less=say.severity(IncidentKind.TAMPER, what="dark"))
    raises = [say("zones_drawn"), tampered] if is_drawn else [tampered]
    raises += [
        say("kind_off" if score == OFF else "least_score", kind=KIND_NAMES[say.language][kind], score=f"{score:g}")
        for kind, score in least.items()
        if score > 0
    ]
    return {
        "camera": camera.name,
        "title": camera.title,
        "drawn": is_drawn,
        "words": say("camera", name=name),
        "raises": raises,
        "zones": [_zone(config, zone, moment, say) for zone in camera.zones],
    }


def _zone(config: EdgeConfig, zone: Zone, moment: _Moment, say: _Say) -> dict[str, Any]:
    looked_at = zone.kind != "ignore"
    exemptions = zone.policy.exemptions if looked_at else []
    held = [{"reason": e.reason, "holds": holds(e, moment.shift, moment.day, e.people or 1)} for e in exemptions]
    return {
        "zone": zone.name,
        "kind": zone.kind,
        "words": say("line", title=zone.name, words=say(f"kind_{zone.kind}")),
        "exemptions": held,
        "exemptions_words": [
            _exemption(exemption, bool(found["holds"]), say) for exemption, found in zip(exemptions, held, strict=True)
        ],
        "hours": list(_hours(config, zone, moment.day, say)) if looked_at else [],
        "raises": _raised(config, zone, say) if looked_at else [],
        "then": list(_at_moment(config, zone, moment, say)) if looked_at else [],
    }


def _exemption(exemption: Exemption, holds_then: bool, say: _Say) -> str:
    said = {name: getattr(exemption, name) for name in SUBJECTS if getattr(exemption, name) is not None}
    what = [say(f"makes_{word}", what=say(name)) for name, word in said.items()]
    when = ""
    if exemption.shifts:
        when += say("in_shifts", n=len(exemption.shifts), shifts=say.listed(exemption.shifts))
    if exemption.people is not None:
        when += say("at_most", n=exemption.people)
    if exemption.until is not None:
        when += say("until", day=exemption.until)
    state = say("holds" if holds_then else "holds_not")
    return say("exemption", reason=exemption.reason, what=say.listed(what) or "—", when=when, state=state)


def _hours(config: EdgeConfig, zone: Zone, day: date, say: _Say) -> Iterator[dict[str, Any]]:
    """What is fine and what isn't in each shift and outside them, on the day asked for."""
    calendar = config.calendar
    for name in dict.fromkeys(shift.name for shift in calendar.shifts):
        yield from _allowed(config, zone.policy, name, True, day, say("during", shift=name), say)
    if calendar.shifts:
        yield from _allowed(config, zone.policy, None, False, day, say("outside"), say)
    else:
        yield from _allowed(config, zone.policy, None, True, day, say("always"), say)
        if calendar.closed:
            yield from _allowed(config, zone.policy, None, False, day, say("closed_day"), say)


def _at_moment(config: EdgeConfig, zone: Zone, moment: _Moment, say: _Say) -> Iterator[dict[str, Any]]:
    title = say("then", when=moment.words(say))
    yield from _allowed(config, zone.policy, moment.shift, moment.working, moment.day, title, say)


def _allowed(
    config: EdgeConfig, policy: Policy, shift: str | None, working: bool, day: date, title: str, say: _Say
) -> Iterator[dict[str, Any]]:
    """One record for each number of people that makes a difference."""
    for fewest, most, told in _by_people(policy, shift, working, day):
        fine = [say(name) for name in SUBJECTS if getattr(told, name)]
        raised = list(_forbidden(config, told, say))
        parts = [say("fine", what=say.listed(fine))] if fine else []
        parts += [say("raises", what=say.listed(raised))] if raised else []
        parts += [say("because", why=told.because)] if told.because else []
        yield {
            "shift": shift,
            "people": [fewest, most],
            "phones": told.phones,
            "scanners": told.scanners,
            "staying": told.staying,
            "because": told.because,
            "words": say("line", title=title + _people(fewest, most, say), words=SEMICOLON[say.language].join(parts)),
        }


def _by_people(
    policy: Policy, shift: str | None, working: bool, day: date
) -> Iterator[tuple[int, int | None, Permission]]:
    """Permissions and for whom: from how many people to how many (`None`: any number)."""
    limits = sorted({e.people for e in policy.exemptions if e.people is not None})
    starts = [1, *(limit + 1 for limit in limits)]
    told = [permission(policy, shift, working, day, start) for start in starts]
    begin = 0
    for n in range(1, len(starts) + 1):
        if n == len(starts) or told[n] != told[begin]:
            yield starts[begin], starts[n] - 1 if n < len(starts) else None, told[begin]
            begin = n


def _people(fewest: int, most: int | None, say: _Say) -> str:
    if most is None:
        return "" if fewest == 1 else say("from_on", n=fewest)
    if fewest == 1:
        return say("one_alone") if most == 1 else say("up_to", n=most)
    return say("just", n=most) if most == fewest else say("between", a=fewest, b=most)


def _forbidden(config: EdgeConfig, told: Permission, say: _Say) -> Iterator[str]:
    """What isn't fine, and the severity it raises."""
    sweep = config.rules.sweep
    hours = {"out_of_hours": not told.working}
    for allowed, what in ((told.phones, "phones"), (told.scanners, "scans_count")):
        if allowed:
            continue
        photos = sweep.least_acts if what == "phones" else 0
        usual = say.severity(IncidentKind.LABEL_PHOTOGRAPHY, photos=photos, **hours)
        serial = say.severity(IncidentKind.LABEL_PHOTOGRAPHY, photos=max(photos, SERIAL_PHOTOS), **hours)
        if what == "phones" and serial != usual:
            yield say("to_critical", what=say(what), severity=usual, n=SERIAL_PHOTOS, more=serial)
        else:
            yield say("to", what=say(what), severity=usual)
    if not told.staying:
        yield say("to", what=say("staying"), severity=say.severity(IncidentKind.LINGERING, **hours))


def _raised(config: EdgeConfig, zone: Zone, say: _Say) -> list[str]:
    """What else a zone of its kind raises, whatever its policy says."""
    warning, critical = (SEVERITY_NAMES[say.language][name] for name in ("warning", "critical"))
    raises = []
    if zone.kind == "storage":
        given = zone.label_up_rate
        if given is not None:
            raises.append(say("zone_rate", rate=_rate(config, given, say)))
        if (config.rules.orientation.usual_rate if given is None else given) > MOST_USUAL:
            raises.append(say("no_patch", most=_percent(MOST_USUAL)))
        else:
            usual = say.severity(IncidentKind.ORIENTATION_PATTERN)
            raises.append(say("raises", what=say("patch", n=BY_HAND, severity=usual, more=critical)))
    if zone.kind != "packing":
        raises.append(say("raises", what=say("linger", severity=say.severity(IncidentKind.LINGERING))))
    if zone.kind == "blind_edge":
        usual = say.severity(IncidentKind.BLIND_CORNER)
        raises.append(say("raises", what=say("corner", severity=usual, more=warning, within=_within(config, say))))
    if zone.spot:
        others = [
            f"{camera.title or camera.name} / {other.name}"
            for camera in config.cameras
            for other in camera.zones
            if other.spot == zone.spot and all(own is not zone for own in camera.zones)  # alike is not the same
        ]
        told = say("zone_spot", spot=zone.spot, others=say.listed(others)) if others else ""
        raises.append(told or say("zone_spot_alone", spot=zone.spot))
    return raises
