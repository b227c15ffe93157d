"""The YAML of a configuration file as a tree, in which no key is given twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from detector.errors import ConfigError, Problem
from detector.plain_yaml import read_yaml, what_is_wrong


def read_tree(path: Path) -> dict[str, Any]:
    """The mapping that a file holds, its keys not looked at yet.

    Raises:
        ConfigError: There is no such file, or it holds no mapping that people write.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        tree = read_yaml(text, _UniqueKeys)
    except OSError as error:
        refused = isinstance(error, PermissionError)
        hint = "whoever runs this needs the right to read it" if refused else "check the path"
        raise ConfigError([Problem(str(path), "", f"can't be read: {error.strerror}", hint)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), "", "is not UTF-8 text", "save it as UTF-8")]) from error
    except yaml.reader.ReaderError as error:
        reason = f"holds a control character, U+{ord(text[error.position]):04X}"
        raise ConfigError(
            [Problem(str(path), f"line {_line_of(text, error.position)}", reason, "take it out")]
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError([_yaml_problem(path, error, text)]) from error
    except ValueError as error:  # what looks like a date but is none
        raise ConfigError([Problem(str(path), "", str(error), "put quotes round what is no date")]) from error
    if not isinstance(tree, dict):
        raise ConfigError([Problem(str(path), "", "must be a mapping of keys to values", "see configs/site.yaml")])
    return tree


_MERGE = "tag:yaml.org,2002:merge"  # the key <<


class _UniqueKeys(yaml.SafeLoader):
    """YAML where a key given twice is an error rather than the last one winning."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and "\0" in value:  # no path may hold it, nor anything that people write
            raise yaml.constructor.ConstructorError(None, None, "holds a NUL character", node.start_mark)
        return value

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(None, None, f"is no date: {error}", node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:  # what it brings in is meant to be overruled
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} is given twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str | int | float) else str(key))
        return super().construct_mapping(node, deep)


_UniqueKeys.add_constructor("tag:yaml.org,2002:timestamp", _UniqueKeys.construct_yaml_timestamp)

# What to do about a reason that holds such a text; the indentation is mostly to blame else.
_HINTS = {
    "\\t": "YAML allows no tabs: indent with spaces",
    "given twice": "leave one of them",
    "undefined alias": "put quotes round a value that begins with *",
    "is no date": "put quotes round what is no date",
    "escape character": "put a text with backslashes into single quotes, a path with / instead",
}
_KEY_WITH_A_WIDE_COLON = re.compile(r"^[ \t-]*[a-z_]+：", re.MULTILINE)


def _yaml_problem(path: Path, error: yaml.YAMLError, text: str) -> Problem:
    where, reason = what_is_wrong(error)
    if hint := next((hint for part, hint in _HINTS.items() if part in reason), None):
        return Problem(str(path), where, reason, hint)
    if wide := _KEY_WITH_A_WIDE_COLON.search(text):  # YAML stumbles over the next key only
        line = f"line {_line_of(text, wide.start())}"
        return Problem(str(path), line, "a full-width colon stands after a key", "type : and a space instead")
    return Problem(str(path), where, reason, "check the indentation")


def _line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
