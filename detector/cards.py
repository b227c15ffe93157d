"""Cards of models and of learnt weights: a YAML file enters, a checked value leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from detector.errors import ModelError
from detector.plain_yaml import read_yaml, what_is_wrong

Card = TypeVar("Card", bound=BaseModel)


def read_card(path: Path, kind: type[Card], what: str) -> Card:
    """A card of some kind; `what` it is, for errors.

    Raises:
        ModelError: It can't be read, or isn't one.
    """
    try:
        return kind.model_validate(read_yaml(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(f"no {what} {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in [".".join(map(str, first["loc"]))] if part)
        raise ModelError(f"{path} is not a {what}: {where}{first['msg']}") from error
    except yaml.YAMLError as error:
        where, reason = what_is_wrong(error)
        raise ModelError(f"{path} is not a {what}: {where}{': ' if where else ''}{reason}") from error
    except ValueError as error:  # no UTF-8, or an impossible date
        raise ModelError(f"{path} is not a {what}: {str(error).splitlines()[0]}") from error
