"""The page that shows an evaluation: results enter, one self-contained HTML file and a short Markdown leave."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import cv2
import numpy as np

from detector.inference.card import ModelCard
from detector.machine.whole_files import write_whole
from detector.values import LABELS
from evaluation.acts import LEAST_PX, NONE, TOLD, TRUE
from evaluation.against import Against
from evaluation.figures import Bin, Share, reliability
from evaluation.measure import WORST, Case, Measured
from evaluation.results import (
    FACING_PX,
    WALLET_RECALL,
    ActResult,
    Acts,
    AngleBin,
    angle_bins,
    class_rows,
    facing_of_bins,
    hidden_phones,
    phone_bins,
    told_share,
    wallet_result,
)
from evaluation.sets import CHOOSE, RENDERED, WALLET
from evaluation.svg import COLOURS, Series, chart

CROP = 200
TRUE_COLOUR, OTHER_COLOUR = (80, 200, 80), (60, 60, 240)
NOT_OFFERED = "<p class='no'>Not offered: the model has no trait for it.</p>"
STYLE = """
:root{color-scheme:light dark;--line:#8884}
body{font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;max-width:70rem;margin:2rem auto;
padding:0 1rem;font-variant-numeric:tabular-nums}
h2{margin:2.5rem 0 .3rem;border-top:1px solid var(--line);padding-top:1rem;font-size:1.25rem}
h3{margin:1.2rem 0 .2rem;font-size:1rem}
p{margin:.3rem 0;max-width:50rem}
small,figcaption{opacity:.75}
table{border-collapse:collapse;margin:.5rem 0;display:block;overflow-x:auto}
td,th{padding:.15rem .9rem .15rem 0;text-align:right;vertical-align:top}
td,th{white-space:nowrap}
td:first-child,th:first-child{text-align:left}
th{font-weight:600;border-bottom:1px solid var(--line)}
td.right{background:#3a8a4a33}
figure{display:inline-block;margin:.5rem 1rem .5rem 0;vertical-align:top}
svg{width:420px;max-width:100%;font-size:11px}
svg text{fill:currentColor}
.grid{stroke:currentColor;opacity:.15}
.mark{stroke:currentColor;opacity:.6;stroke-dasharray:4 3}
figcaption span{margin-right:1rem}
figcaption i{display:inline-block;width:.8em;height:.8em;margin-right:.3em}
.cases{display:flex;flex-wrap:wrap;gap:.6rem}
.cases figure{margin:0;width:200px;overflow-wrap:anywhere}
.cases img{width:200px;display:block}
.no{opacity:.75;font-style:italic}
nav a{margin-right:1rem}
"""


@dataclass(frozen=True)
class Compared:
    """Another precision of the model: its figures on the reported sets and what they are short of fp32's.

    `note` says why there are none, if so.
    """

    name: str
    figures: Mapping[str, float]
    loss: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Evaluation:
    """All that is told of one model.

    Attributes:
        card: Its card.
        thresholds: Least scores that the figures are told at.
        chosen: Thresholds that the choosing pictures would give; `None` without such pictures.
        sets: Everything measured.
        acts: Contenders for acts; `None` where no act is known or there is nothing to choose by.
        variants: Other precisions, if they were measured.
        left_out: What was not looked at, and why.
        against: Another model on the same pictures, if one was named.
    """

    card: ModelCard
    thresholds: Mapping[str, float]
    chosen: Mapping[str, float] | None
    sets: Sequence[Measured]
    acts: Acts | None
    variants: Sequence[Compared] = ()
    left_out: Sequence[str] = field(default=())
    against: Against | None = None

    @property
    def reported(self) -> list[Measured]:
        """The sets that figures are told of."""
        return [m for m in self.sets if m.judged.purpose != CHOOSE]

    def colour(self, measured: Measured) -> str:
        """Colour of a set in every plot."""
        return COLOURS[[m.judged.name for m in self.reported].index(measured.judged.name) % len(COLOURS)]

    def set_named(self, name: str) -> Measured | None:
        """A reported set, or `None`."""
        return next((m for m in self.reported if m.judged.name == name), None)


def write_page(folder: Path, evaluation: Evaluation) -> tuple[Path, Path]:
    """Write `evaluation.html` and `evaluation.md` into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, summary = folder / "evaluation.html", folder / "evaluation.md"
    write_whole(page, html(evaluation))
    write_whole(summary, markdown(evaluation))
    return page, summary


def html(evaluation: Evaluation) -> str:
    """The whole page."""
    card = evaluation.card
    sections = [
        *(
            [("against", f"Against {evaluation.against.name}", _against(evaluation.against))]
            if evaluation.against
            else []
        ),
        ("classes", "What is found", _classes(evaluation)),
        ("phones", "Phones by size", _phones(evaluation)),
        ("look-alikes", "Wallets and earbud cases", _look_alikes(evaluation)),
        ("facing", "Facing of parcels", _facing(evaluation)),
        ("angle", "Angle of labels", _angle(evaluation)),
        ("acts", "What people do", _acts(evaluation)),
        ("calibration", "Scores as chances", _calibration(evaluation)),
        ("variants", "Precisions and runtimes", _variants(evaluation)),
        ("worst", "Worst cases", _worst(evaluation)),
    ]
    links = "".join(f"<a href='#{key}'>{escape(title)}</a>" for key, title, _ in sections)
    least = ", ".join(f"{label} {evaluation.thresholds[label]:.2f}" for label in LABELS)
    head = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(card.name)}: evaluation</title><style>{STYLE}</style>"
        f"<h1>{escape(card.name)} <small>{escape(card.file)}, sha256 {card.sha256[:12]}…</small></h1>"
        f"<p>Pictures are looked at as <code>labelwatch detect</code> does: the whole frame, then each person closely. "
        f"Least scores: {least}, {_whence(evaluation)}. "
        "Intervals are 95 %: Wilson's for shares, otherwise a bootstrap over pictures, where those of one scene or "
        f"video are drawn together; of a single one there is none.</p><nav>{links}</nav>"
    )
    left_out = "".join(f"<li>{escape(line)}</li>" for line in evaluation.left_out)
    tail = f"<h2>Left out</h2><ul>{left_out}</ul>" if left_out else ""
    body = "".join(f"<h2 id='{key}'>{escape(title)}</h2>{content}" for key, title, content in sections)
    return head + body + tail


def _whence(evaluation: Evaluation) -> str:
    """Where the least scores are from."""
    if evaluation.chosen == evaluation.thresholds:
        return f"chosen by pictures that are told of nowhere: {_choosing(evaluation)}"
    return "as they stand in the card"


def _choosing(evaluation: Evaluation) -> str:
    return "; ".join(escape(m.judged.title) for m in evaluation.sets if m.judged.purpose == CHOOSE)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table; cells are text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def of_share(share: Share) -> str:
    """A share with its interval and what it is of."""
    if not share.of:
        return "–"
    told = share.estimate()
    return f"{told.value:.0%} ({told.low:.0%}–{told.high:.0%}), {share.hits} of {share.of}"


def span(low: float, high: float) -> str:
    """Ends of a bin."""
    return f"{low:g}–{high:g}" if math.isfinite(high) else f"{low:g} and more"


def _class_table(evaluation: Evaluation) -> list[list[str]]:
    rows = []
    for measured in evaluation.reported:
        for row in class_rows(measured, evaluation.thresholds):
            name = row.label + (" (marked by the stock model)" if row.by_teacher else "")
            pictures = str(sum(sample.judges(row.label) for sample in measured.judged.samples))
            rows.append([
                f"{measured.judged.name}: {name}", pictures, str(row.objects), str(row.ap50),
                of_share(row.recall), of_share(row.precision),
            ])  # fmt: skip
    return rows


CLASS_HEAD = ("set and class", "pictures", "objects", "AP50", "recall", "precision")


def _classes(evaluation: Evaluation) -> str:
    sets = "".join(f"<li>{escape(m.judged.name)}: {escape(m.judged.title)}</li>" for m in evaluation.reported)
    note = (
        "<p>AP50 is the area under the precision-recall curve at IoU 0.5 in 101 points (COCO). Where the stock model "
        "marked a class, its AP50 says how far the two models agree, not how far this one is right.</p>"
    )
    chosen = ""
    if evaluation.chosen:
        said = ", ".join(f"{label} {value:.2f}" for label, value in evaluation.chosen.items())
        chosen = f"<p>Pictures that are told of nowhere ({_choosing(evaluation)}) give these least scores: {said}.</p>"
    return note + table(CLASS_HEAD, _class_table(evaluation)) + chosen + f"<ul>{sets}</ul>"


AGAINST_HEAD = ("figure", "of", "before (found, right)", "now (found, right)", "more", "so it is")


def _against_rows(against: Against) -> list[list[str]]:
    return [[gain.name, gain.objects, gain.theirs, gain.ours, gain.told, gain.so] for gain in against.gains]


def _against(against: Against) -> str:
    note = (
        f"<p>Both models on the same pictures, <i>before</i> is {escape(against.name)}; in brackets which share of the "
        "objects is found at its least scores, and which of what is found is right. The interval is of the "
        "difference, by incidents, scenes or videos drawn together. Boxes that stand as a model proposed them favour "
        "that model.</p>"
    )
    return note + table(AGAINST_HEAD, _against_rows(against)) + f"<p><b>{escape(against.words())}</b></p>"


def _bin_series(name: str, bins: Sequence[Bin], colour: str = "") -> Series:
    x = [(max(b.low, 4) * (b.high if math.isfinite(b.high) else b.low * 1.5)) ** 0.5 for b in bins]
    told = [b.share.estimate() for b in bins]
    notes = [f"{span(b.low, b.high)} px: {of_share(b.share)}" for b in bins]
    return Series(name, x, [e.value for e in told], [e.low for e in told], [e.high for e in told], notes, colour=colour)


def _phones(evaluation: Evaluation) -> str:
    least, parts = evaluation.thresholds["phone"], []
    with_phones = [m for m in evaluation.reported if m.phones]
    if not with_phones:
        return "<p class='no'>No set holds phones.</p>"
    for title, long_side in (("side √(width · height)", False), ("longer side", True)):
        series = [
            _bin_series(m.judged.name, phone_bins(m, least, long_side=long_side), evaluation.colour(m))
            for m in with_phones
        ]
        parts.append(chart(series, f"{title} of the phone's box, pixels of the frame", "recall", log=True))
    rows = [[m.judged.name, span(b.low, b.high), of_share(b.share)] for m in with_phones for b in phone_bins(m, least)]
    note = f"<p>Recall at the least score {least:.2f}, by the size of the phone's box in the frame.</p>"
    hidden = [f"{m.judged.name} {of_share(share)}" for m in with_phones if (share := hidden_phones(m, least)).of]
    if hidden:
        note += f"<p>Of phones of which less than half can be seen, left out here: {escape('; '.join(hidden))}.</p>"
    return note + "".join(parts) + table(("set", "side, pixels", "recall"), rows)


def _look_alikes(evaluation: Evaluation) -> str:
    measured = evaluation.set_named(WALLET)
    if measured is None or not measured.loudest or not measured.with_phones.total:
        return "<p class='no'>No set with look-alikes.</p>"
    result = wallet_result(measured, evaluation.thresholds["phone"])
    _, recall, false = result.curve
    plot = chart(
        [Series("", recall.tolist(), false.tolist(), dots=False)],
        "share of true phones found", "pictures without a phone that show one", x_range=(0.0, 1.0),
        marks=[(0.1, "10 %")],
    )  # fmt: skip
    return f"<p>{escape(wallet_words(evaluation, measured))}</p>{plot}"


def wallet_words(evaluation: Evaluation, measured: Measured) -> str:
    """The look-alike test in words."""
    result = wallet_result(measured, evaluation.thresholds["phone"])
    if result.threshold is None or result.false is None:
        told = f"No threshold finds {WALLET_RECALL:.0%} of the true phones; at most {result.most:.0%} are found."
    else:
        told = (
            f"At the threshold that finds {WALLET_RECALL:.0%} of the true phones ({result.threshold:.2f}), pictures "
            f"without a phone that show one: {of_share(result.false)}."
        )
    found, false = result.at_shipped
    least = evaluation.thresholds["phone"]
    return f"{told} At the least score {least:.2f}: found {of_share(found)}; false {of_share(false)}."


def _facing(evaluation: Evaluation) -> str:
    measured = evaluation.set_named(RENDERED)
    if not {"up", "not_up"} <= set(evaluation.card.traits):
        return NOT_OFFERED
    if measured is None or not measured.facings:
        return "<p class='no'>No set says which way parcels lie.</p>"
    bins = facing_of_bins(measured.facings)
    rows = [[span(b.low, b.high), of_share(b.right), of_share(b.unknown)] for b in bins]
    small = bins[:-1]
    right = [Bin(b.low, b.high, b.right) for b in small if b.right.of]
    unknown = [Bin(b.low, b.high, b.unknown) for b in small]
    plot = chart(
        [_bin_series("right, of those told", right), _bin_series("left unknown", unknown)],
        "side of the label, pixels", "share", log=True, marks=[(0.95, "95 %"), (0.1, "10 %")],
    )  # fmt: skip
    note = (
        "<p>Parcels found whose facing the exact polygons tell. Its size is the side of the largest label seen "
        "on the top face; where there is none, 0.4 of the parcel's shorter side: about what a label would have. "
        f"The last row is all from {FACING_PX} pixels on.</p>"
    )
    return note + plot + table(("label side, pixels", "right, of those told", "left unknown"), rows)


def _angle(evaluation: Evaluation) -> str:
    measured = evaluation.set_named(RENDERED)
    if not {"angle_cos", "angle_sin"} <= set(evaluation.card.traits):
        return NOT_OFFERED
    if measured is None or not measured.angles:
        return "<p class='no'>No label of known angle was found.</p>"
    bins = angle_bins(measured.angles)
    x = [(max(b.low, 4) * (b.high if math.isfinite(b.high) else b.low * 1.5)) ** 0.5 for b in bins]
    plot = chart(
        [
            Series("median", x, [b.median for b in bins]),
            Series("nine of ten", x, [b.ninetieth for b in bins]),
            Series("median, either axis", x, [b.axes_median for b in bins]),
        ],
        "side of the label, pixels", "error, degrees", y_range=(0.0, 90.0), log=True, marks=[(45.0, "blind guess")],
    )  # fmt: skip
    note = (
        "<p>Angle between the told and the true axis of the text lines, 0 to 90°, of labels found. <em>Either axis"
        "</em>: to the nearer of the label's two axes, 0 to 45°, as if nobody asked which of them the text runs along; "
        "a blind guess is off by 22.5° there.</p>"
    )
    return note + plot + table(ANGLE_HEAD, _angle_rows(bins))


ANGLE_HEAD = ("label side, pixels", "labels", "median", "nine of ten within", "median, either axis")


def _angle_rows(bins: Sequence[AngleBin]) -> list[list[str]]:
    return [
        [span(b.low, b.high), str(b.labels), f"{b.median:.1f}°", f"{b.ninetieth:.1f}°", f"{b.axes_median:.1f}°"]
        for b in bins
    ]


def act_rows(results: Sequence[ActResult]) -> list[list[str]]:
    """One row for each contender."""
    rows = []
    for result in results:
        least = ", ".join(f"{act} {t:.2f}" for act, t in zip(TRUE, result.choice.thresholds, strict=False))
        rows.append([result.choice.contender, str(result.large), str(result.everyone), least])
    return rows


def _confusion(title: str, counts: np.ndarray) -> str:
    top = "".join(f"<th>{word}</th>" for word in TOLD)
    body = "".join(
        f"<tr><td>{act}</td>"
        + "".join(f"<td{' class=right' if TOLD[k] == act else ''}>{n or '·'}</td>" for k, n in enumerate(row))
        + "</tr>"
        for act, row in zip(TRUE, counts, strict=True)
    )
    head = f"<tr><th>true ↓ told →</th>{top}</tr>"
    return f"<figure><figcaption>{escape(title)}</figcaption><table>{head}{body}</table></figure>"


def _acts(evaluation: Evaluation) -> str:
    acts = evaluation.acts
    if acts is None:
        return "<p class='no'>No scenes to choose thresholds by, or none to judge.</p>"
    head = ("contender", f"macro-F1, device ≥ {LEAST_PX} px", "macro-F1, everyone", "least scores")
    told, right = told_share(acts.table_clear)
    note = (
        f"<p>People of the rendered scenes ({acts.people} with a device of at least {LEAST_PX} pixels, or without an "
        "act). <em>detection</em>: the device at hand and how high it is held. <em>phone traits</em>: the phone's own "
        "traits. <em>person traits</em>: what the close look says of the person. <em>both</em>: the mean of the last "
        "two. Thresholds of each were chosen on other scenes for the largest macro-F1; who was not found is a miss.</p>"
    )
    missing = "".join(f"<p class='no'>{escape(name)}: not offered.</p>" for name in acts.not_offered)
    tables = (
        _confusion(f"{acts.best}, device ≥ {LEAST_PX} px", acts.table)
        + _confusion(f"the same, unclear where no act stands out {acts.clear:g} times", acts.table_clear)
        + _confusion(f"{acts.best}, everyone", acts.table_all)
    )
    words = f"<p>With <em>unclear</em> allowed: told {of_share(told)}; right of those {of_share(right)}.</p>"
    return note + table(head, act_rows(acts.results)) + missing + tables + words


def _calibration(evaluation: Evaluation) -> str:
    plots, rows = [], []
    for label in LABELS:
        series = []
        for measured in evaluation.reported:
            count = measured.classes.get(label)
            if count is None or not count.total or label in measured.judged.teacher:
                continue
            told = reliability(count.scores, count.hits)
            if told is None:
                continue
            estimates = [share.estimate() for _, share in told.bins]
            notes = [f"score {score:.2f}: {of_share(share)}" for score, share in told.bins]
            colour = evaluation.colour(measured)
            series.append(
                Series(measured.judged.name, [score for score, _ in told.bins], [e.value for e in estimates],
                       [e.low for e in estimates], [e.high for e in estimates], notes, colour=colour)
            )  # fmt: skip
            counts = " ".join(str(share.of) for _, share in told.bins)
            rows.append([f"{measured.judged.name}: {label}", f"{told.ece:.3f}", counts])
        if series:
            axis = f"score of {label}"
            plots.append(chart(series, axis, "share right", x_range=(0.0, 1.0), diagonal=True))
    note = (
        "<p>Detections from a score of 0.05 on, in tenths of the score: on the dashed line a score is the chance of "
        "being right. ECE is the mean distance from it, weighted by detections.</p>"
    )
    return note + "".join(plots) + table(("set and class", "ECE", "detections by tenth of the score"), rows)


def _variants(evaluation: Evaluation) -> str:
    if not evaluation.variants:
        return "<p class='no'>Not measured (<code>--variants</code> does).</p>"
    notes = "".join(f"<p>{escape(v.name)}: {escape(v.note)}.</p>" for v in evaluation.variants if v.note)
    rows = _variant_rows(evaluation.variants)
    return notes + (table(VARIANT_HEAD, rows) if rows else "")


VARIANT_HEAD = ("variant", "figure", "value", "loss against fp32")


def _variant_rows(variants: Sequence[Compared]) -> list[list[str]]:
    return [
        [variant.name, name, f"{value:.3f}", f"{variant.loss[name]:+.3f}"]
        for variant in variants
        for name, value in variant.figures.items()
    ]


KINDS = (
    ("missed phone", "Missed phones, largest first; in green"),
    ("false phone", "False phones, surest first; in red"),
    ("wrong facing", "Wrong facings, largest label first"),
    ("wrong act", "Wrong acts, largest device first"),
)


def _worst(evaluation: Evaluation) -> str:
    parts = []
    for kind, title in KINDS:
        for measured in evaluation.reported:
            cases = measured.worst(kind, WORST)
            if cases:
                shown = "".join(_case(case) for case in cases)
                heading = f"{title}: {measured.judged.name}"
                parts.append(f"<h3>{escape(heading)}</h3><div class='cases'>{shown}</div>")
    return "".join(parts) or "<p>None.</p>"


def _case(case: Case) -> str:
    picture = base64.b64encode(crop(case)).decode()
    caption = f"{escape(case.caption)}<br><small>{escape(case.path.name)}</small>"
    return f"<figure><img alt='' src='data:image/jpeg;base64,{picture}'><figcaption>{caption}</figcaption></figure>"


def crop(case: Case) -> bytes:
    """The place with its surroundings as a JPEG of `CROP` pixels, the object in green, or red where there is none."""
    image = cv2.imread(str(case.path))
    x1, y1, x2, y2 = case.box
    large = max(x2 - x1, y2 - y1)
    side = max(min(2.2 * large, max(image.shape[:2])), 1.1 * large, 80.0)
    scale = CROP / side
    left, top = (x1 + x2 - side) / 2, (y1 + y2 - side) / 2
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    cut = cv2.warpAffine(image, matrix, (CROP, CROP), flags=cv2.INTER_AREA, borderValue=(114, 114, 114))
    corners = (
        [round((x1 - left) * scale), round((y1 - top) * scale)],
        [round((x2 - left) * scale), round((y2 - top) * scale)],
    )
    cv2.rectangle(cut, corners[0], corners[1], OTHER_COLOUR if case.kind == "false phone" else TRUE_COLOUR, 1)
    return bytes(cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def markdown(evaluation: Evaluation) -> str:
    """The figures in short."""
    lines = [f"# {evaluation.card.name}: evaluation", ""]
    lines += ["Intervals are 95 %. Least scores: " + ", ".join(
        f"{label} {evaluation.thresholds[label]:.2f}" for label in LABELS) + ".", ""]  # fmt: skip
    lines += _markdown_table(CLASS_HEAD, _class_table(evaluation))
    rendered, wallet = evaluation.set_named(RENDERED), evaluation.set_named(WALLET)
    if wallet is not None and wallet.loudest and wallet.with_phones.total:
        lines += ["", "Look-alikes: " + wallet_words(evaluation, wallet)]
    if rendered is not None and rendered.facings:
        last = facing_of_bins(rendered.facings)[-1]
        right, unknown = of_share(last.right), of_share(last.unknown)
        lines += ["", f"Facing, labels from {FACING_PX} px on: right {right}; unknown {unknown}."]
    if rendered is not None and rendered.angles:
        lines += ["", "Angle of labels:", ""]
        lines += _markdown_table(ANGLE_HEAD, _angle_rows(angle_bins(rendered.angles)))
    if evaluation.acts:
        lines += ["", f"Acts ({evaluation.acts.people} people, device ≥ {LEAST_PX} px or {NONE}):", ""]
        head = ("contender", "macro-F1", "macro-F1, everyone", "least scores")
        lines += _markdown_table(head, act_rows(evaluation.acts.results))
    if evaluation.variants:
        lines += ["", "Other precisions, on the same pictures:", ""]
        lines += _markdown_table(VARIANT_HEAD, rows) if (rows := _variant_rows(evaluation.variants)) else []
        lines += ["", *(f"- {variant.name}: {variant.note}" for variant in evaluation.variants if variant.note)]
    lines += ["", *(f"- left out: {line}" for line in evaluation.left_out)]
    if evaluation.against:
        lines += ["", f"Against {evaluation.against.name}, on the same pictures:", ""]
        lines += [*_markdown_table(AGAINST_HEAD, _against_rows(evaluation.against)), "", evaluation.against.words()]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
