"""A replay as one page a person can open: summary and incidents enter, a self-contained `report.html` leaves."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from detector.sentences import KIND_NAMES, SEVERITY_NAMES, count_range, sentence

SHAPES = {"critical": "■", "warning": "▲", "info": "●"}

STYLE = """
:root{color-scheme:light dark;--line:#8884}
body{font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;
max-width:60rem;margin:2rem auto;padding:0 1rem;font-variant-numeric:tabular-nums}
article{border-top:1px solid var(--line);padding:1rem 0;display:grid;gap:1rem;grid-template-columns:minmax(0,20rem) 1fr}
@media(max-width:40rem){article{grid-template-columns:1fr}}
img{width:100%;display:block}
h1,h2,p{margin:.2rem 0}
h2{font-size:1.05rem}
small{opacity:.75}
td,th{text-align:left;padding:.1rem .8rem .1rem 0;vertical-align:top}
.critical{color:#c2261d}
.warning{color:#a86400}
.info{color:#5b6b7b}
"""


def write_report(out: Path, summary: dict[str, Any], incidents: list[dict[str, Any]]) -> Path:
    """Write `out/report.html`: totals, what could not be read and why, and each incident with its picture."""
    hours, files = f"{summary['hours_covered']:.2f}", summary["files"]
    totals_zh = f"{len(incidents)} 起事件,共 {hours} 小时录像,{files} 个文件"
    totals_en = (
        f"{len(incidents)} incidents in {hours} hours of {files} files; "
        f"{summary['frames_inferred']} of {summary['frames_decoded']} frames analysed"
    )
    parts = [
        "<!doctype html><html lang='zh'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>labelwatch</title><style>{STYLE}</style>",
        "<h1>回放报告 <small>Replay report</small></h1>",
        f"<p>{totals_zh}<br><small>{totals_en}</small></p>",
    ]
    if summary["unreadable"]:
        parts.append("<h2>未能读取 <small>Not read</small></h2><ul>")
        parts += [f"<li>{escape(item['why'])}</li>" for item in summary["unreadable"]]
        parts.append("</ul>")
    if not incidents:
        parts.append("<p>没有发现事件。<br><small>Nothing was found.</small></p>")
    parts += [_article(out, incident) for incident in incidents]
    path = out / "report.html"
    path.write_text("".join(parts), encoding="utf-8")
    return path


def _article(out: Path, incident: dict[str, Any]) -> str:
    zh, en = (KIND_NAMES[language][incident["kind"]] for language in ("zh", "en"))
    word = incident["severity"]
    severity = f"{SHAPES[word]} {SEVERITY_NAMES['zh'][word]}"
    picture = out / incident["snapshot"]
    image = ""
    if picture.exists():
        data = base64.b64encode(picture.read_bytes()).decode()
        image = f"<img alt='' src='data:image/jpeg;base64,{data}'>"
    exposed = incident["labels_exposed"]
    rows = [("摄像机 camera", incident["camera"]), ("区域 zone", incident["zone"] or "—")]
    rows += [("时间 time (UTC)", f"{incident['started_at']} – {incident['ended_at']}")]
    rows += [("文件 file", f"{incident['file']} {incident['start_offset_s']:.1f}–{incident['end_offset_s']:.1f} s")]
    if exposed["high"]:
        rows += [("暴露面单 labels exposed", count_range(exposed["low"], exposed["high"]))]
    photos = [f"{a['start_offset_s']:.1f}–{a['end_offset_s']:.1f} s" for a in incident["acts"] if a["kind"] == "photo"]
    if photos:
        rows += [(f"{len(photos)} 次拍照 photos", ", ".join(photos))]
    table = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in rows)
    clip = f"<p><a href='{escape(incident['clip'])}'>看片段 <small>clip</small></a></p>" if incident["clip"] else ""
    title = f"<h2><span class='{word}'>{severity}</span> {zh} <small>{en}, {SEVERITY_NAMES['en'][word]}</small></h2>"
    said = f"<p>{escape(sentence(incident, 'zh'))}。<br><small>{escape(sentence(incident, 'en'))}.</small></p>"
    return f"<article><div>{image}</div><div>{title}{said}<table>{table}</table>{clip}</div></article>"
