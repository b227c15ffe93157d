"""YAML as people write it: text enters, a tree leaves. What is written to burst when it is unfolded is refused.

A few lines of YAML can stand for a billion values, each an alias of several others, and other lines make the library
fail in ways that it doesn't promise.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

LARGEST = 2**20  # characters
MOST_VALUES = 50_000  # with every alias and merge unfolded


def read_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The one document in a text; `None` where there is none.

    Raises:
        yaml.YAMLError: It can't be read, or isn't what a person writes.
        ValueError: Something in it looks like a date or a number, and is none.
    """
    if len(text) > LARGEST:
        raise yaml.YAMLError(f"is longer than {LARGEST} characters")
    try:
        reader = loader(text)
        try:
            document = reader.get_single_node()
            if document is None:
                return None
            _unfolded(document, {})
            return reader.construct_document(document)
        finally:
            reader.dispose()
    except RecursionError as error:
        raise yaml.YAMLError("is nested too deeply") from error
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
        raise yaml.YAMLError("has a tag that does not fit its value") from error


def what_is_wrong(error: yaml.YAMLError) -> tuple[str, str]:
    """Where a text is no YAML, as far as that is known, and why, without the names in it."""
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).split("\n")[0]
    # What stands behind these signs is a name in YAML, and a password where somebody forgot the quotes.
    reason = re.sub(r"(undefined alias|duplicate anchor|for the tag) '[^']*'", r"\1", reason)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "", reason


def _unfolded(node: yaml.Node, known: dict[int, int | None]) -> int:
    """How many values a node stands for.

    Raises:
        yaml.YAMLError: Too many, or it holds itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if (size := known[id(node)]) is None:
            raise yaml.YAMLError("holds a value that is a part of itself")
        return size
    known[id(node)] = None
    parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
    size = 1 + sum(_unfolded(part, known) for part in parts)
    if size > MOST_VALUES:
        raise yaml.YAMLError(f"stands for more than {MOST_VALUES} values")
    known[id(node)] = size
    return size
