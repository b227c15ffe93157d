"""Words of a page in Chinese and English, of which it shows one: texts enter, markup and templates leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup


def both(words: Callable[[str], str]) -> Markup:
    """Words in both languages; `words` is asked for those of `zh` and of `en`."""
    return Markup("<span class='zh' lang='zh'>{}</span><span class='en' lang='en'>{}</span>").format(
        words("zh"), words("en")
    )


def one_of(text: str, values: Mapping[str, object]) -> str:
    """A text filled in; of "one|many" the one that goes with `n`."""
    one, _, many = text.partition("|")
    return (one if values.get("n") == 1 or not many else many).format(**values)


def speaker(zh: Mapping[str, str], en: Mapping[str, str]) -> Callable[..., Markup]:
    """What says a text, by its name and with its values, in both languages."""

    def say(name: str, **values: object) -> Markup:
        return both(lambda language: one_of((zh if language == "zh" else en)[name], values))

    return say


def template(path: Path, **known: Any) -> jinja2.Template:
    """A page that may go on from `base.html`; `known` is what it may use without being given it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([path.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(known)
    return environment.get_template(path.name)
