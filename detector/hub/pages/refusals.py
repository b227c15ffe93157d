"""Why an edge refused what was sent to it, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable

from detector import wire
from detector.hub.texts import Phrases


def refusals(say: Phrases, told: object, title: Callable[[str], str] = str) -> list[str]:
    """Sentences for the causes of a health report, as far as this hub knows them.

    Args:
        say: The texts of the reader's language.
        told: `refused_causes`, whatever it is.
        title: What a camera is called on pages, by its name.
    """
    lines = []
    for cause in wire.decode_causes(told):
        words = say("refused_" + cause.code, **cause.values)
        camera = cause.values.get("camera")
        lines.append(say("zones_of_camera", camera=title(str(camera)), why=words) if camera is not None else words)
    return lines
