"""Facts: every one that a rule tells is known, and one that is rubbish is read as not known."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from math import inf, nan
from typing import Any

import pytest

from detector.facts import FACTS, LARGEST, count, holds, number
from tests.conftest import REPOSITORY

RULES = {file.stem: file.read_text(encoding="utf-8") for file in (REPOSITORY / "detector" / "rules").glob("*.py")}


def told_by(source: str) -> Iterator[str]:
    """Names in dictionaries that are `facts`: given as such, returned by a function of that name, or put in later."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.keyword(arg="facts", value=value) | ast.AnnAssign(target=ast.Name("facts"), value=value):
                yield from keys_in(value)
            case ast.Assign(targets=[ast.Name("facts")], value=value):
                yield from keys_in(value)
            case ast.FunctionDef(name="facts"):
                yield from keys_in(node)
            case ast.Subscript(value=ast.Name("facts"), slice=ast.Constant(value=str(name)), ctx=ast.Store()):
                yield name


def keys_in(tree: ast.AST | None) -> Iterator[str]:
    dictionaries = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)] if tree else []
    for dictionary in dictionaries:
        yield from (str(key.value) for key in dictionary.keys if isinstance(key, ast.Constant))


@pytest.mark.parametrize(
    "module", sorted(name for name, source in RULES.items() if "Signal(" in source or "def facts(" in source)
)
def test_every_fact_that_a_rule_tells_is_known(module: str) -> None:
    told = set(told_by(RULES[module]))
    assert told, "no fact is found here: `told_by` knows dictionaries called `facts` alone"
    assert told - FACTS.keys() == set(), "the table of facts.py lacks them"


@pytest.mark.parametrize(
    ("value", "as_number", "as_count", "as_yes"),
    [
        (3, 3.0, 3, True),
        (2.6, 2.6, 3, True),
        (0, 0.0, 0, False),
        (-4, -4.0, 0, False),
        (True, None, 1, True),
        (False, None, 0, False),
        (None, None, 0, False),
        ("7", None, 0, False),
        ([1], None, 0, False),
        (nan, None, 0, False),
        (inf, None, 0, False),
        (2 * LARGEST, None, 0, False),
    ],
)
def test_what_makes_no_sense_is_not_known(value: Any, as_number: float | None, as_count: int, as_yes: bool) -> None:
    facts = {"visits": value}
    assert (number(facts, "visits"), count(facts, "visits"), holds(facts, "visits")) == (as_number, as_count, as_yes)


def test_a_fact_that_is_left_out_is_not_known() -> None:
    assert (number({}, "visits"), count({}, "visits"), holds({}, "visits")) == (None, 0, False)
