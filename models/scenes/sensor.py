"""Look of a cheap surveillance camera: from a linear rendering to the 8-bit picture it would deliver."""

from __future__ import annotations

import cv2
import numpy as np

MODES = ("day", "ir", "backlight")


def expose(linear, *, grey: float = 0.40, highlights: float = 1.0) -> np.ndarray:
    """Display values 0..1 of a linear rendering `(H, W, 3)`.

    Exposure brings the geometric mean of luminance to `grey`; a soft shoulder (extended Reinhard) keeps highlights.
    `highlights` above 1 exposes for them instead, as a camera does against the light.
    """
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    gain = grey**2.2 / max(float(np.exp(np.log(luminance + 1e-4).mean())), 1e-4) / highlights
    x = linear * gain
    return np.clip(1.25 * x * (1 + x / 9) / (1 + x), 0, 1) ** (1 / 2.2)


def look(linear, rng: np.random.Generator, mode: str = "day", grain: np.random.Generator | None = None) -> np.ndarray:
    """The camera's picture `(H, W, 3)`, 8-bit BGR, of a linear RGB rendering.

    Exposure, contrast, colour, lens blur, vignette, noise, sharpening, JPEG blocks: all drawn from `rng`. With `grain`
    the noise comes from there and there are no JPEG blocks: so frames with equal `rng` come from one camera, whose
    noise differs, for a video encoder.

    Raises:
        ValueError: `mode` isn't one of `MODES`.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: one of {', '.join(MODES)}")
    height, width = linear.shape[:2]
    image = expose(linear, grey=rng.uniform(0.36, 0.5), highlights=rng.uniform(1.3, 2.6) if mode == "backlight" else 1)
    image = np.clip(0.5 + (image - 0.5) * rng.uniform(0.95, 1.25), 0, 1)
    if mode == "ir":
        grey = np.clip(0.5 + (image @ np.array([0.45, 0.35, 0.2]) - 0.5) * 1.2, 0, 1)
        image = np.repeat(grey[..., None], 3, 2)
    else:
        grey = image.mean(2, keepdims=True)
        image = (grey + (image - grey) * rng.uniform(0.65, 1.25)) * (1 + rng.normal(0, 0.022, 3))
    image = image.astype(np.float32)
    if mode == "backlight":  # veiling glare of a dirty dome
        glow = cv2.GaussianBlur(np.clip(image - 0.75, 0, 1), (0, 0), width / 14)
        image = image + glow * rng.uniform(0.4, 1.2)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, 0.95) * width / 1280 + 0.05)
    y, x = np.mgrid[0:height, 0:width]
    falloff = ((x - width / 2) / width) ** 2 + ((y - height / 2) / height) ** 2
    image *= (1 - rng.uniform(0.1, 0.6) * falloff)[..., None]
    image += noise(
        grain or rng, (height, width), rng.uniform(0.004, 0.018) * (2.2 if mode == "ir" else 1), colour=mode != "ir"
    )
    image += (image - cv2.GaussianBlur(image, (0, 0), 1.2)) * rng.uniform(0.2, 1.1)
    picture = (np.clip(image, 0, 1) * 255).astype(np.uint8)[..., ::-1].copy()
    if rng.random() < 0.2:  # sub-stream scaled up by the recorder
        factor = rng.uniform(0.55, 0.85)
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return picture if grain else compressed(picture, int(rng.integers(32, 80)))


def noise(rng: np.random.Generator, shape, sigma: float, *, colour: bool) -> np.ndarray:
    """Sensor noise `(H, W, 3)`: luminance plus, in colour, half as much in each channel, slightly correlated."""
    grain = rng.standard_normal((*shape, 1)) * sigma + rng.standard_normal((*shape, 3)) * sigma * 0.5 * colour
    return cv2.GaussianBlur(grain.astype(np.float32), (0, 0), 0.6) * 1.6


def compressed(picture, quality: int) -> np.ndarray:
    """The picture after JPEG at `quality`."""
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
