"""Every word the pages say, in every language, and the sentences that tell what an incident is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.hub.store import StoredIncident

# In a text "one|many", `n` decides which is said.
ZH = {
    "other_language": "English",
    "html_lang": "zh-CN",
    "feed": "告警",
    "cameras": "摄像机",
    "skip": "跳到内容",
    "theme_dark": "深色",
    "theme_light": "浅色",
    "account": "账号",
    "log_in": "登录",
    "log_out": "退出登录",
    "user": "用户名",
    "password": "密码",
    "login_wrong": "用户名或密码不对",
    "login_wait": "尝试次数太多，请稍等一分钟再试",
    "login_hint": "第一次登录：用户名和密码在启动时显示过，也存放在数据目录的 first-login.json 里。",
    "password_old": "现在的密码",
    "password_new": "新密码",
    "password_rule": "至少 {n} 个字符",
    "password_change": "修改密码",
    "password_short": "新密码太短",
    "password_wrong": "现在的密码不对",
    "signed_in_as": "当前用户：{user}",
    "today": "今天",
    "yesterday": "昨天",
    "today_none": "今天 没有告警",
    "today_some": "今天 {n} 起",
    "exposed": "暴露面单 {count} 张",
    "lanes": "告警与汇总",
    "digest": "汇总",
    "digest_today": "今日汇总",
    "digest_why": "提示，以及超出本班额度的告警，都在这里，一条不丢。",
    "digest_empty": "这一天没有进汇总的",
    "digest_all": "看这一天全部",
    "day_before": "前一天",
    "day_after": "后一天",
    "no_more": "这一天就这些",
    "budget_used": "本班已用 {spent}/{limit}",
    "budget_full": "本班已用 {spent}/{limit}，其余进汇总",
    "budget_why": "告警额度：每班 {limit} 条，超出的进汇总；严重的总是告警",
    "by_hour": "今天各时段的告警数",
    "hour_count": "{hour} 点：{n} 起",
    "counts_without_cleared": "不含已授权和误报",
    "cameras_fine": "{n} 台摄像机正常",
    "cameras_silent": "{n} 台摄像机没有画面",
    "cameras_none": "还没有摄像机接入",
    "last_look": "{ago}看过",
    "ago": "{span}前",
    "just_now": "刚刚",
    "never": "从未",
    "empty_title": "没有告警",
    "empty_fine": "一切安静。{cameras}，{last}。",
    "empty_silent": "没有告警，但 {cameras}：这不等于没有事情发生。",
    "empty_unconnected": "还没有摄像机接入。启动一台边缘设备（labelwatch run）后，这里就会显示。",
    "older": "更早的告警",
    "to_newest": "回到最新",
    "no_older": "没有更早的了",
    "severity_info": "提示",
    "severity_warning": "注意",
    "severity_critical": "严重",
    "kind_label_photography": "拍摄面单",
    "kind_orientation_pattern": "面单成片朝上",
    "kind_lingering": "停留",
    "kind_blind_corner": "进入无监控角落",
    "kind_tamper": "摄像机被动",
    "say_label_photography": "{people} 人在 {span}内拍照 {photos} 次，约暴露面单 {count} 张",
    "say_label_photography_uncounted": "{people} 人在 {span}内拍照 {photos} 次",
    "say_orientation_pattern": "{judged} 件包裹中 {up} 件面单朝上（平时约 {usual} 件）",
    "say_orientation_pattern_unknown": "这一片包裹的面单异常地多朝上",
    "say_odds": "碰巧这样摆放的可能性约为 1/{odds}",
    "say_odds_least": "碰巧这样摆放的可能性低于 1/{odds}",
    "say_lingering": "{people} 人在货堆旁停留了 {span}",
    "say_blind_corner": "{people} 人进入摄像机看不到的角落，{span} 后才出来",
    "say_tamper": "画面被遮挡或镜头被移动，持续 {span}",
    "say_other": "{kind}，持续 {span}",
    "advice_label_photography": "先看清楚，再找人。不要让他当场删除照片：手机里的照片和删除记录是证据。",
    "advice_clip": "片段已存好，可以交给警方。",
    "advice_orientation_pattern": "有人把包裹翻成面单朝上，常常是拍照前的准备。去现场看一眼，再看这一片前后谁来过。",
    "advice_lingering": "单独看只是提示。若同一个人反复出现，请看片段。",
    "advice_blind_corner": "去那个角落看一眼，并考虑补一台摄像机。",
    "advice_tamper": "检查摄像机是否被遮挡或转动。修好之前，这里什么也看不见。",
    "snapshot_of": "{camera} 的画面，面单已打码",
    "no_snapshot": "没有画面",
    "watch": "看片段",
    "clip_here": "片段 {length}",
    "clip_coming": "片段传送中",
    "clip_coming_long": "片段还在从边缘设备传来，到了会自动出现。",
    "clip_none": "这条告警还没有片段。",
    "clip_matches": "与边缘设备签名的记录一致",
    "clip_differs": "与边缘设备签名的记录不一致",
    "clip_unannounced": "已收到，签名的记录还没到",
    "clip_missing": "还没送到",
    "clip_broken": "这个片段播放不了，请下载后用播放器打开。",
    "evidence": "录像证据",
    "segment": "第 {n} 段",
    "download": "下载",
    "verdict": "判断",
    "verdict_true": "属实",
    "verdict_authorised": "已授权",
    "verdict_false": "误报",
    "verdict_unclear": "不确定",
    "verdict_ask": "这是真的吗？",
    "note": "备注",
    "note_hint": "备注（可不填）",
    "undo": "撤销",
    "history": "判断记录",
    "history_none": "还没有人判断过",
    "withdrawn": "已由 {user} 撤销",
    "timeline": "动作时间线",
    "act_photo": "拍照",
    "act_scan": "扫码",
    "act_call": "通话",
    "act_browse": "看手机",
    "act_unclear": "看不清",
    "act_jump": "跳到 {time} {act}",
    "acts": "动作",
    "facts": "事实",
    "fact_kind": "类型",
    "fact_when": "时间",
    "fact_span": "时长",
    "fact_zone": "区域",
    "fact_camera": "摄像机",
    "fact_site": "站点",
    "fact_score": "把握",
    "fact_people_seen": "人员轨迹",
    "fact_labels": "暴露面单",
    "fact_labels_value": "{count} 张（最可能 {best} 张）",
    "fact_photos": "拍照次数",
    "fact_parcels": "涉及包裹",
    "fact_people": "人数",
    "fact_up": "面单朝上",
    "fact_judged": "能判断的包裹",
    "fact_in_zone": "区域内包裹",
    "fact_usual_rate": "平时朝上的比例",
    "fact_p_value": "碰巧的可能性",
    "fact_state": "状态",
    "state_open": "仍在进行",
    "state_ended": "已结束",
    "boxes": "画面中标出的",
    "box_person": "人",
    "box_phone": "手机",
    "box_scanner": "扫码枪",
    "box_parcel": "包裹",
    "box_label": "面单",
    "box_up": "面单朝上",
    "box_not_up": "面单不朝上",
    "newer_one": "较新一条",
    "older_one": "较早一条",
    "keys": "键盘：1–4 判断，U 撤销，空格 播放，← → 逐帧，J K L 速度，N 备注",
    "edge_online": "在线",
    "edge_offline": "离线",
    "edge_unknown": "未知",
    "edges": "边缘设备",
    "camera_ok": "正常",
    "camera_silent": "没有画面",
    "camera_ended": "录像已播完",
    "camera_edge_offline": "边缘设备离线",
    "camera_edge_quiet": "边缘设备没有消息",
    "last_frame": "最近一帧",
    "last_word": "最近消息",
    "per_second": "每秒 {n} 帧",
    "reconnects": "重连 {n} 次",
    "promise": "有没有丢告警",
    "promise_missing": "缺号",
    "promise_backlog": "边缘积压",
    "promise_dropped": "边缘丢弃",
    "promise_dead": "边缘搁置",
    "promise_refused": "拒收消息",
    "refused_last": "最近拒收的消息",
    "source": "源代码",
    "source_text": "labelwatch 是自由软件，许可证为 GNU AGPL-3.0-or-later：使用者有权得到正在运行的这一版的源代码。",
    "source_running": "下面是这台服务器正在运行的源代码（版本 {version}），可直接下载。",
    "source_download": "下载 {file}（{size} KB）",
    "licence": "许可证 AGPL-3.0-or-later",
    "back": "返回",
    "error_404": "没有这一页",
    "error_404_text": "链接可能旧了，或者这条告警不在这台服务器上。",
    "error_429": "请稍等",
    "error_429_text": "尝试次数太多，请稍等一分钟再试。",
    "error_500": "出错了",
    "error_500_text": "服务器内部出错，已记入日志。请再试一次。",
    "live_lost": "与服务器断开，正在重连…",
    "day_format": "{month} 月 {day} 日 {weekday}",
    "weekdays": "周一 周二 周三 周四 周五 周六 周日",
    "months": "1 2 3 4 5 6 7 8 9 10 11 12",
    "span_s": "{s}\u00a0秒",
    "span_m": "{m}\u00a0分\u00a0{s}\u00a0秒",
    "span_m_only": "{m}\u00a0分钟",
    "span_h": "{h}\u00a0小时\u00a0{m}\u00a0分",
    "span_d": "{d}\u00a0天",
    "stop": "。",
}

EN = {
    "other_language": "中文",
    "html_lang": "en",
    "feed": "Alerts",
    "cameras": "Cameras",
    "skip": "Skip to content",
    "theme_dark": "Dark",
    "theme_light": "Light",
    "account": "Account",
    "log_in": "Log in",
    "log_out": "Log out",
    "user": "User",
    "password": "Password",
    "login_wrong": "Wrong user or password",
    "login_wait": "Too many tries. Wait a minute, then try again",
    "login_hint": "First time: user and password were printed at start; see also first-login.json in the data folder.",
    "password_old": "Present password",
    "password_new": "New password",
    "password_rule": "At least {n} characters",
    "password_change": "Change password",
    "password_short": "The new password is too short",
    "password_wrong": "The present password is wrong",
    "signed_in_as": "Signed in as {user}",
    "today": "Today",
    "yesterday": "Yesterday",
    "today_none": "Today: no alerts",
    "today_some": "Today: {n} alert|Today: {n} alerts",
    "exposed": "{count} labels exposed",
    "lanes": "Alerts and digest",
    "digest": "Digest",
    "digest_today": "Today's digest",
    "digest_why": "Notes, and what exceeded the shift's budget, are all here; none is lost.",
    "digest_empty": "Nothing went to the digest on this day",
    "digest_all": "Show the whole day",
    "day_before": "The day before",
    "day_after": "The day after",
    "no_more": "That was all of this day",
    "budget_used": "Shift: {spent}/{limit} used",
    "budget_full": "Shift: {spent}/{limit} used, the rest goes to the digest",
    "budget_why": "Alert budget: {limit} a shift, what exceeds it goes to the digest; critical ones always alert",
    "by_hour": "Alerts by hour of today",
    "hour_count": "{hour}:00: {n}",
    "counts_without_cleared": "authorised and false alerts left out",
    "cameras_fine": "{n} camera fine|{n} cameras fine",
    "cameras_silent": "{n} camera without picture|{n} cameras without picture",
    "cameras_none": "No camera connected yet",
    "last_look": "seen {ago}",
    "ago": "{span} ago",
    "just_now": "just now",
    "never": "never",
    "empty_title": "No alerts",
    "empty_fine": "All quiet. {cameras}, {last}.",
    "empty_silent": "No alerts, but {cameras}: that is not the same as nothing happening.",
    "empty_unconnected": "No camera is connected yet. Start an edge box (labelwatch run) and it will show up here.",
    "older": "Older alerts",
    "to_newest": "Back to the newest",
    "no_older": "Nothing older",
    "severity_info": "Note",
    "severity_warning": "Warning",
    "severity_critical": "Critical",
    "kind_label_photography": "Labels photographed",
    "kind_orientation_pattern": "A patch of labels facing up",
    "kind_lingering": "Lingering",
    "kind_blind_corner": "Unwatched corner",
    "kind_tamper": "Camera tampered with",
    "say_label_photography": "{people_en} took {photos} photos in {span}: about {count} labels exposed",
    "say_label_photography_uncounted": "{people_en} took {photos} photos in {span}",
    "say_orientation_pattern": "{up} of {judged} parcels lie label up (usually about {usual})",
    "say_orientation_pattern_unknown": "Unusually many parcels here lie label up",
    "say_odds": "By chance this happens about once in {odds} times",
    "say_odds_least": "By chance this happens less than once in {odds} times",
    "say_lingering": "{people_en} stayed beside the parcels for {span}",
    "say_blind_corner": "{people_en} went where no camera looks and came out after {span}",
    "say_tamper": "The picture was covered or the camera moved for {span}",
    "say_other": "{kind}, for {span}",
    "advice_label_photography": "Make sure first, then find the person. Don't let the photos be deleted on the spot: "
    "the phone and its bin are evidence.",
    "advice_clip": "The clip is kept and can go to the police.",
    "advice_orientation_pattern": "Somebody turned parcels label up, which often comes before photographing them. "
    "Have a look on the floor, then at who was here before and after.",
    "advice_lingering": "Alone this is only a note. If the same person keeps turning up, watch the clip.",
    "advice_blind_corner": "Look into that corner, and think about a camera there.",
    "advice_tamper": "Check whether the camera is covered or turned. Until then nothing is seen here.",
    "snapshot_of": "Picture of {camera}, labels blurred",
    "no_snapshot": "No picture",
    "watch": "Watch the clip",
    "clip_here": "Clip {length}",
    "clip_coming": "Clip on its way",
    "clip_coming_long": "The clip is still on its way from the edge box. It will show up here by itself.",
    "clip_none": "There is no clip of this yet.",
    "clip_matches": "fits the record the edge box signed",
    "clip_differs": "does not fit the record the edge box signed",
    "clip_unannounced": "arrived; the signed record has not yet",
    "clip_missing": "not here yet",
    "clip_broken": "This clip can't be played here. Download it and open it in a player.",
    "evidence": "Recordings",
    "segment": "Part {n}",
    "download": "Download",
    "verdict": "Verdict",
    "verdict_true": "True",
    "verdict_authorised": "Authorised",
    "verdict_false": "False",
    "verdict_unclear": "Unclear",
    "verdict_ask": "Is this real?",
    "note": "Note",
    "note_hint": "Note (optional)",
    "undo": "Undo",
    "history": "Verdicts so far",
    "history_none": "Nobody has judged this yet",
    "withdrawn": "withdrawn by {user}",
    "timeline": "Acts on the time line",
    "act_photo": "Photo",
    "act_scan": "Scan",
    "act_call": "Call",
    "act_browse": "Browsing",
    "act_unclear": "Unclear",
    "act_jump": "Jump to {time} {act}",
    "acts": "Acts",
    "facts": "Facts",
    "fact_kind": "Kind",
    "fact_when": "When",
    "fact_span": "Length",
    "fact_zone": "Zone",
    "fact_camera": "Camera",
    "fact_site": "Site",
    "fact_score": "Confidence",
    "fact_people_seen": "Person tracks",
    "fact_labels": "Labels exposed",
    "fact_labels_value": "{count} (most likely {best})",
    "fact_photos": "Photos taken",
    "fact_parcels": "Parcels concerned",
    "fact_people": "People",
    "fact_up": "Label up",
    "fact_judged": "Parcels that can be judged",
    "fact_in_zone": "Parcels in the zone",
    "fact_usual_rate": "Usual share label up",
    "fact_p_value": "Chance of an accident",
    "fact_state": "State",
    "state_open": "still going on",
    "state_ended": "over",
    "boxes": "Marked in the picture",
    "box_person": "Person",
    "box_phone": "Phone",
    "box_scanner": "Scanner",
    "box_parcel": "Parcel",
    "box_label": "Label",
    "box_up": "Label up",
    "box_not_up": "Label not up",
    "newer_one": "Newer",
    "older_one": "Older",
    "keys": "Keys: 1–4 verdict, U undo, space play, ← → frame, J K L speed, N note",
    "edge_online": "online",
    "edge_offline": "offline",
    "edge_unknown": "unknown",
    "edges": "Edge boxes",
    "camera_ok": "Fine",
    "camera_silent": "No picture",
    "camera_ended": "Recording is over",
    "camera_edge_offline": "Edge box offline",
    "camera_edge_quiet": "No word from the edge box",
    "last_frame": "Last frame",
    "last_word": "Last word",
    "per_second": "{n} frames a second",
    "reconnects": "{n} reconnect|{n} reconnects",
    "promise": "Was any alert lost?",
    "promise_missing": "Missing",
    "promise_backlog": "Waiting at the edge",
    "promise_dropped": "Dropped at the edge",
    "promise_dead": "Set aside at the edge",
    "promise_refused": "Messages refused",
    "refused_last": "Messages refused last",
    "source": "Source code",
    "source_text": "labelwatch is free software under the GNU AGPL-3.0-or-later: whoever uses it may have the source "
    "code of the very version that runs.",
    "source_running": "This is the source code that this server is running (version {version}), ready to download.",
    "source_download": "Download {file} ({size} KB)",
    "licence": "Licence AGPL-3.0-or-later",
    "back": "Back",
    "error_404": "No such page",
    "error_404_text": "The link may be old, or the alert isn't on this server.",
    "error_429": "Wait a moment",
    "error_429_text": "Too many tries. Wait a minute, then try again.",
    "error_500": "Something went wrong",
    "error_500_text": "The server failed and wrote it to its log. Please try again.",
    "live_lost": "Connection lost, trying again…",
    "day_format": "{weekday} {day} {month}",
    "weekdays": "Mon Tue Wed Thu Fri Sat Sun",
    "months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "span_s": "{s}\u00a0s",
    "span_m": "{m}\u00a0min\u00a0{s}\u00a0s",
    "span_m_only": "{m}\u00a0min",
    "span_h": "{h}\u00a0h\u00a0{m}\u00a0min",
    "span_d": "{d}\u00a0day|{d}\u00a0days",
    "stop": ".",
}

TEXTS: Mapping[str, Mapping[str, str]] = {"zh": ZH, "en": EN}
LANGUAGES = tuple(TEXTS)


class Phrases:
    """The texts of one language: `phrases("exposed", count="3–5")`."""

    def __init__(self, language: str) -> None:
        self.language = language
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
        """A length of time in words, to the second under an hour."""
        whole = max(0, round(seconds))
        minutes, s = divmod(whole, 60)
        hours, m = divmod(minutes, 60)
        if whole < 60:
            return self("span_s", s=s)
        if minutes < 60:
            return self("span_m", m=m, s=s) if s else self("span_m_only", m=m)
        if hours < 48:
            return self("span_h", h=hours, m=m)
        return self("span_d", d=hours // 24)

    def ago(self, seconds: float | None) -> str:
        """How long ago something was; `None` is never."""
        if seconds is None:
            return self("never")
        return self("just_now") if seconds < 1.5 else self("ago", span=self.span(seconds))


def count_range(low: int, high: int) -> str:
    """A count that may be uncertain: `4` or `3–6`."""
    return str(low) if low == high else f"{low}–{high}"


def explanation(incident: StoredIncident, say: Phrases) -> list[str]:
    """What happened, in one sentence, and perhaps one more that weighs it; without full stops."""
    span = say.span(incident.ended_at - incident.started_at)
    if incident.kind == "label_photography":
        return [_photography(incident, say, span)]
    if incident.kind == "orientation_pattern":
        return _orientation(incident.record["facts"], say)
    values = {"people": incident.people, "people_en": _people_en(incident.people), "span": span}
    if f"say_{incident.kind}" in TEXTS[say.language]:
        return [say(f"say_{incident.kind}", **values)]
    return [say("say_other", kind=say.either(f"kind_{incident.kind}", incident.kind), span=span)]


def _photography(incident: StoredIncident, say: Phrases, span: str) -> str:
    photos = [act for act in incident.acts if act.get("kind") == "photo"]
    # A person who leaves and comes back is a new track, so tracks only say how many people it can have been at most.
    most = max(1, len({str(act.get("track")) for act in photos}))
    people = count_range(min(round(_number(incident.record["facts"], "people") or most), most), most)
    exposed = incident.labels_high > 0
    return say(
        "say_label_photography" if exposed else "say_label_photography_uncounted",
        people=people,
        people_en="One person" if people == "1" else f"{people} people",
        photos=len(photos),
        span=span,
        count=count_range(incident.labels_low, incident.labels_high),
    )


def _orientation(facts: Mapping[str, Any], say: Phrases) -> list[str]:
    up, judged = _number(facts, "up"), _number(facts, "judged")
    if up is None or judged is None:
        return [say("say_orientation_pattern_unknown")]
    usual = round((_number(facts, "usual_rate") or 0.0) * judged)
    sentences = [say("say_orientation_pattern", up=round(up), judged=round(judged), usual=usual)]
    chance = _number(facts, "p_value")
    if chance is not None and chance < 0.1:
        # A chance is rounded by the edge, and so may come as nought.
        key, odds = ("say_odds", round(1 / chance)) if chance > 0 else ("say_odds_least", 100_000)
        sentences.append(say(key, odds=f"{odds:,}"))
    return sentences


def _number(facts: Mapping[str, Any], name: str) -> float | None:
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _people_en(people: int) -> str:
    return "One person" if people == 1 else f"{people} people"
