"""The page about security says of every item of ASVS 5.0.0, levels 1 and 2, how it stands; its tests exist."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

from tests.conftest import REPOSITORY

PAGE = Path(REPOSITORY, "detector", "hub", "SECURITY.md").read_text(encoding="utf-8")
# Sections of ASVS 5.0.0 with those of their items that are of level 1 or 2; all of these begin at 1 without a gap.
LAST = """1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4
5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1
8.4:1 9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3
12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3
17.1:1 17.2:4 17.3:2"""
STATES = ("met", "in part", "not met", "not applicable")
NONE = "none"


def rows() -> list[list[str]]:
    """Cells of the rows of the tables of items."""
    lines = [line for line in PAGE.splitlines() if re.match(r"\| \d+\.\d", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def items(cell: str) -> list[str]:
    """Numbers of a cell: `10.1.1–2, 10.2.1`."""
    found = []
    for part in cell.split(", "):
        match = re.fullmatch(r"(\d+\.\d+\.)(\d+)(?:–(\d+))?", part)
        assert match, cell
        found += [f"{match[1]}{n}" for n in range(int(match[2]), int(match[3] or match[2]) + 1)]
    return found


@cache
def named_in(file: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", (REPOSITORY / file).read_text(encoding="utf-8"), re.M))


def missing(cell: str) -> list[str]:
    """Those tests of a cell that don't exist."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cell)
    return [name for file, name in named if not (REPOSITORY / file).is_file() or name not in named_in(file)]


def test_every_item_is_there_once() -> None:
    pairs = [section.split(":") for section in LAST.split()]
    wanted = [f"{section}.{n}" for section, last in pairs for n in range(1, int(last) + 1)]
    assert len(wanted) == 253
    assert Counter(number for row in rows() for number in items(row[0])) == Counter(wanted)


def test_every_row_is_whole_and_its_tests_exist() -> None:
    for row in rows():
        assert len(row) == 5 and all(row), row
        assert row[2] in STATES, row
        assert missing(row[4]) == [], row[0]
        assert "::" in row[4] or row[4] == NONE, row
        if row[2] == "met":
            assert row[4] != NONE, f"{row[0]}: who says that it is met?"


def test_the_page_counts_what_it_lists() -> None:
    counts = Counter({row[2]: 0 for row in rows()})
    for row in rows():
        counts[row[2]] += len(items(row[0]))
    met, part, not_met, not_applicable = (counts[state] for state in STATES)
    told = f"253 items: {met} met, {part} in part, {not_met} not met, {not_applicable} not applicable."
    assert told in PAGE


def test_a_test_that_is_gone_would_be_missed() -> None:
    assert missing("`tests/hub/test_asvs.py::test_that_nobody_wrote`") == ["test_that_nobody_wrote"]
    assert missing("`tests/hub/test_nowhere.py::test_x`") == ["test_x"]
    assert items("10.1.1–2, 1.3.11") == ["10.1.1", "10.1.2", "1.3.11"]
