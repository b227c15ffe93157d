"""Words on a picture, in Chinese as well."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDE = 8192  # pixels, wider than what is written


def can_chinese() -> bool:
    """Whether there is a font for Chinese: OpenCV before 5 has none."""
    return hasattr(cv2, "FontFace")


def write(
    out: NDArray[np.uint8], text: str, at: tuple[int, int], size: int, colour: tuple[int, ...], *, bold: bool = False,
    otherwise: str = "",
) -> None:  # fmt: skip
    """Write text with its baseline's left end at a point.

    Args:
        out: `(H, W, 3)` BGR uint8, written to.
        text: What is written.
        at: x and y, pixels.
        size: Height of the letters with what stands above and below, pixels.
        colour: BGR.
        bold: Whether in bold.
        otherwise: What is written where there is no font for Chinese, if it is plain ASCII.
    """
    if can_chinese():
        cv2.putText(out, text, at, colour, cv2.FontFace("sans"), size, 700 if bold else 400)
        return
    text = text if text.isascii() else otherwise
    if text.isascii():
        cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, size / 30, colour, 2 if bold else 1, cv2.LINE_AA)


def length(text: str, size: int, *, bold: bool = False) -> float:
    """How far text reaches, pixels."""
    if can_chinese():
        return float(cv2.getTextSize((_WIDE, _WIDE), text, (0, 0), cv2.FontFace("sans"), size, 700 if bold else 400)[2])
    return float(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size / 30, 2 if bold else 1)[0][0])
