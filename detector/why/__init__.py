"""Why nobody was told: recordings of something that happened enter, a page and a film of what was seen of it leave.

Every system misses things, and who can't see why stops trusting it. So this looks again as the worker does, keeps what
is otherwise thrown away, and says of each person in view which step towards an alert was the first not taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.config import EdgeConfig
from detector.errors import ConfigError, ModelError, Problem
from detector.recorded.archive import FILM, FILM_PAGE

if TYPE_CHECKING:
    from detector.why.again import Footage, When


@dataclass(frozen=True, slots=True)
class Explained:
    """What came of it, in words for a terminal and as a record for programs."""

    words: str
    record: dict[str, Any]


def explain(
    footage: Footage,
    config: EdgeConfig,
    when: When,
    out: Path,
    progress: Callable[[str, float], None],
    unread: Callable[[str], None],
) -> Explained:
    """Look again (`again.look_again` says what is asked for, and what may be wrong), and write page and film.

    Raises:
        ConfigError: `out` is no folder.
        OSError: The page can't be written.
    """
    from detector.coverage import least_height_px
    from detector.tuned import configured
    from detector.why.again import look_again
    from detector.why.page import headline, record_of, write_page
    from detector.why.steps import Steps

    if out.exists() and not out.is_dir():
        raise ConfigError([Problem("--out", "", f"is no folder: {out}", "name one")])
    account = look_again(footage, config, when, out / FILM, progress, unread)
    try:
        least_height: float | None = least_height_px(config.analysis.model)
    except ModelError:  # a model of one's own, of which nobody measured how small a phone it finds
        least_height = None
    steps = Steps(config, account.camera, configured(config, account.camera), least_height)
    write_page(out / FILM_PAGE, account, steps, FILM, config.timezone)
    words = "\n".join((*headline(account, steps), str(out / FILM_PAGE), str(out / FILM)))
    return Explained(words, record_of(account, steps))
