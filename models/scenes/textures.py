"""Drawn pictures for surfaces: cardboard, concrete, shipping labels, phone screens; each drawn once into a cache."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from scenes.parts import MissingPartError, font_file

try:
    import barcode
    import qrcode
    from barcode.writer import ImageWriter
    from faker import Faker
    from PIL import Image, ImageDraw, ImageFont
except ImportError as missing:
    raise MissingPartError(f"{missing}; hint: pip install pillow python-barcode qrcode Faker") from missing

VIEWFINDER, STYLES = (75, 160), 4  # pixels of the screen of a phone whose camera is open; apps
KRAFTS, LABELS, PRINTS, FLOORS, WALLS, SCREENS = 10, 90, 9, 6, 4, 6
BOARD = ((176, 136, 94), (186, 148, 106), (160, 120, 80), (198, 164, 122), (150, 112, 76))
CARRIERS = (
    "顺丰速运",
    "圆通速递",
    "中通快递",
    "韵达快递",
    "EMS",
    "YunExpress",
    "4PX",
    "京东物流",
    "申通快递",
    "极兔速递",
)
VEST_COLOURS = {
    "yellow": (170, 200, 30),
    "orange": (215, 85, 20),
    "navy": (28, 36, 66),
    "red": (150, 25, 25),
    "grey": (70, 74, 80),
    "lime": (120, 190, 60),
    "sky": (70, 130, 190),
}
VERSION = 2  # part of the file names: raise it when a drawing changes


class Textures:
    """Texture files by kind and number, drawn when first asked for."""

    def __init__(self, cache: Path):
        self._cache = cache
        self._font = str(font_file())

    def kraft(self, k: int) -> Path:
        """Brown board."""
        return self._drawn(f"kraft{k}", lambda: kraft(np.random.default_rng(k)))

    def floor(self, k: int) -> Path:
        """Concrete with stains; even numbers have yellow lines."""
        return self._drawn(f"floor{k}", lambda: concrete(np.random.default_rng(100 + k), lines=k % 2 == 0))

    def wall(self, k: int) -> Path:
        """Painted wall."""
        return self._drawn(f"wall{k}", lambda: concrete(np.random.default_rng(200 + k), tone=190, size=768))

    def wood(self) -> Path:
        """Planks."""
        return self._drawn("wood", lambda: wood(np.random.default_rng(5)))

    def label(self, k: int) -> Path:
        """Shipping label with bar code, QR code and a made-up Chinese address."""
        return self._drawn(f"label{k}", lambda: self._label(k))

    def print(self, k: int) -> Path:
        """Print on a box that is no label: arrows, FRAGILE, a brand, a plain white sticker."""
        return self._drawn(f"print{k}", lambda: self._print(k))

    def paper(self, k: int) -> Path:
        """A sheet with a table or lines of text: a list, no label."""
        return self._drawn(f"paper{k}", lambda: self._paper(k))

    def screen(self, kind: str, k: int) -> Path:
        """Phone screen: chat, feed, scan, shop, photo, video, night, home or dark."""
        return self._drawn(f"screen_{kind}{k}", lambda: screen(kind, random.Random(f"{kind}{k}")))

    def vest(self, colour: str) -> Path:
        """Cloth of a vest; bright ones have reflecting stripes."""
        return self._drawn(f"vest_{colour}", lambda: vest_cloth(colour))

    def stamp(self, picture, time: str, place: str, rng: random.Random):
        """Write the recorder's time and camera name into a BGR picture, as most do."""
        height, width = picture.shape[:2]
        font = ImageFont.truetype(self._font, max(12, int(height / rng.uniform(22, 34))))
        image = Image.fromarray(picture[..., ::-1])
        draw = ImageDraw.Draw(image)
        corners = [(0.015, 0.015), (0.015, 0.015), (0.62, 0.015), (0.015, 0.93)]
        for (x, y), text in zip([rng.choice(corners), (0.78, 0.93)], (time, place), strict=True):
            draw.text((x * width, y * height), text, font=font, fill="white", stroke_width=1, stroke_fill="black")
        return np.array(image)[..., ::-1].copy()

    def _drawn(self, name: str, draw: Callable) -> Path:
        path = self._cache / f"{name}.v{VERSION}.png"
        if not path.exists():
            image = draw()
            image = (
                image if isinstance(image, Image.Image) else Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
            )
            # several renderers may share the cache: each writes its own file, the name appears at once
            own = path.with_suffix(f".{os.getpid()}.tmp")
            image.save(own, format="PNG")
            own.replace(path)
        return path

    def _type(self, size: int):
        return ImageFont.truetype(self._font, size)

    def _label(self, k: int):
        rng, fake = random.Random(k), Faker("zh_CN")
        fake.seed_instance(k)
        height = rng.choice([600, 600, 520, 720])
        image = Image.new("RGB", (400, height), rng.choice([(246, 246, 243), (250, 250, 250), (238, 236, 228)]))
        draw = ImageDraw.Draw(image)

        def write(x, y, text, size):
            draw.text((x, y), text, font=self._type(size), fill=(8, 8, 8))

        def rule(y):
            draw.line((6, y, 393, y), fill=(0, 0, 0), width=2)

        if rng.random() < 0.8:
            draw.rectangle((6, 6, 393, height - 7), outline=(20, 20, 20), width=2)
        carrier = rng.choice(CARRIERS)
        ink = rng.choice([(10, 10, 10), (10, 10, 10), (190, 20, 20), (20, 60, 150)])
        draw.text((16, 14), carrier, font=self._type(38), fill=ink)
        if rng.random() < 0.4:
            draw.rectangle((270, 10, 388, 60), fill=(10, 10, 10))
            draw.text((278, 14), rng.choice(["次日", "特快", "标快"]), font=self._type(36), fill="white")
        number = "".join(rng.choice("0123456789") for _ in range(13))
        bars = code128(rng.choice(["SF", "YT", "ZT", "YD", "JD"]) + number).resize((360, 92))
        qr = qrcode.make("https://t.example/" + number, border=1).convert("RGB")
        if rng.random() < 0.7:
            image.paste(bars, (20, 68))
            write(70, 162, "  ".join(number[i : i + 4] for i in range(0, 13, 4)), 22)
            rule(196)
            area, gate = rng.choice(["755W", "571-A", "020-K", "021B"]), f"{rng.choice('ABCF')}{rng.randint(1, 9)}"
            write(16, 204, f"{area}-{rng.randint(1, 99):02d} {gate}", 54)
            rule(272)
            y = 280
        else:
            image.paste(qr.resize((170, 170)), (20, 74))
            write(210, 90, f"{rng.randint(100, 999)}-{rng.choice('ABCD')}", 60)
            write(210, 180, number[:8], 34)
            rule(256)
            y = 264
        phone = fake.phone_number()
        write(16, y, f"收 {fake.name()}  {phone[:3]}****{phone[-4:]}", 26)
        address = fake.address().split(" ")[0]
        for line in range(0, len(address), 14):
            y += 32
            write(16, y, address[line : line + 14], 26)
        rule(y + 38)
        write(16, y + 44, f"寄 {fake.name()} {fake.company()[:12]}", 20)
        write(16, y + 70, fake.address()[:20], 20)
        rule(y + 98)
        if height > y + 240:
            image.paste(bars.resize((220, 70)), (14, height - 84))
        image.paste(qr.resize((110, 110)), (276, min(y + 106, height - 120)))
        for line in range(2):
            write(16, y + 106 + 28 * line, f"{fake.word() * 2} x{rng.randint(1, 9)}  {rng.random() * 9:.1f}kg", 20)
        return image

    def _print(self, k: int):
        rng = random.Random(k)
        image = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
        draw, ink, red = ImageDraw.Draw(image), (40, 30, 25, 215), (150, 25, 20, 220)
        if k % 3 == 0:
            for x in (120, 300):
                outline = [(0, 380), (0, 220), (-40, 220), (20, 130), (80, 220), (40, 220), (40, 380)]
                draw.polygon([(x + a, b) for a, b in outline], fill=ink)
            draw.line((90, 410, 390, 410), fill=ink, width=12)
        elif k % 3 == 1:
            draw.text((60, 150), rng.choice(["易碎物品", "小心轻放", "向上 防潮"]), font=self._type(84), fill=red)
            draw.text((60, 260), "FRAGILE", font=self._type(84), fill=red)
        else:
            draw.text((40, 160), rng.choice(["HONGDA", "KAIYUE", "BAIHUI", "SUNRICH"]), font=self._type(90), fill=ink)
            draw.text((40, 280), f"数量 {rng.choice([12, 24, 36, 48])} 件", font=self._type(70), fill=ink)
        return image

    def _paper(self, k: int):
        rng, fake = random.Random(k), Faker("zh_CN")
        fake.seed_instance(k)
        image = Image.new("RGB", (420, 594), (244, 244, 240))
        draw = ImageDraw.Draw(image)
        draw.text(
            (120, 30), rng.choice(["出库单", "盘点表", "值班记录", "拣货单"]), font=self._type(40), fill=(20, 20, 20)
        )
        for row in range(14):
            y = 100 + 33 * row
            if k % 2:
                draw.line((30, y, 390, y), fill=(90, 90, 90), width=1)
            text = fake.sentence(nb_words=6)[:16] if rng.random() < 0.8 else ""
            draw.text((34, y + 6), text, font=self._type(19), fill=(60, 60, 60))
        return image


def code128(text: str):
    """Bars of a Code 128, without text."""
    options = {"write_text": False, "module_height": 12, "quiet_zone": 1, "dpi": 200}
    return barcode.get("code128", text, writer=ImageWriter()).render(options).convert("RGB")


def clouds(size: int, octaves: int, rng: np.random.Generator, *, base: int = 4) -> np.ndarray:
    """Fractal noise `(size, size)` of unit order."""
    total, weight, weights = np.zeros((size, size), np.float32), 1.0, 0.0
    for octave in range(octaves):
        cells = base * 2**octave
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        weights, weight = weights + weight, weight * 0.55
    return total / weights


def scratched(image, rng: np.random.Generator, count: int, length: int):
    """Add straight scuffs a little lighter or darker."""
    size = image.shape[0]
    for _ in range(count):
        start = rng.integers(0, size, 2)
        end = start + rng.integers(-length, length, 2)
        tone = image[start[1], start[0]] * rng.uniform(0.85, 1.12)
        cv2.line(image, tuple(map(int, start)), tuple(map(int, end)), tuple(map(float, tone)), int(rng.integers(1, 3)))
    return image


def kraft(rng: np.random.Generator, size: int = 512):
    """Corrugated board: fibres, flutes, scuffs, worn edges."""
    colour = np.array(BOARD[rng.integers(len(BOARD))], np.float32)
    fibres = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), 0.8)
    flow = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), sigmaX=6, sigmaY=0.6)
    flutes = np.sin(np.arange(size) / size * 2 * np.pi * 60)[None] * 0.5
    tone = 1 + 0.06 * clouds(size, 5, rng) + 0.03 * fibres + 0.05 * flow + 0.008 * flutes
    image = scratched(np.ascontiguousarray(colour * tone[..., None]), rng, int(rng.integers(2, 9)), 120)
    y, x = np.mgrid[0:size, 0:size] / size
    edge = np.clip(np.minimum.reduce([x, y, 1 - x, 1 - y]) / 0.03, 0, 1)
    return image * (0.86 + 0.14 * edge)[..., None]


def concrete(rng: np.random.Generator, *, tone: float | None = None, lines: bool = False, size: int = 1024):
    """Concrete or plaster: clouds, stains, scratches, joints; floors also with worn yellow lines."""
    tone = rng.uniform(95, 175) if tone is None else tone
    tint = np.array([1.0, 0.985, 0.95]) + rng.uniform(-0.05, 0.05, 3)
    if tone < 180 and rng.random() < 0.3:  # painted floor
        tint *= [(0.75, 1.0, 0.85), (0.8, 0.95, 1.1)][rng.integers(2)]
    field = tone * (1 + 0.1 * clouds(size, 7, rng, base=3) + 0.1 * clouds(size, 4, rng, base=2))
    image = (field * (1 + 0.02 * rng.standard_normal((size, size))))[..., None] * tint
    stains = np.clip(clouds(size, 5, rng, base=5) - 0.55, 0, 1) * (1.2 if tone < 180 else 0.3)
    image = scratched(np.ascontiguousarray(image * (1 - 0.55 * stains)[..., None]), rng, 30, size // 4)
    for k in range(1, 4):
        at = k * size // 4
        image[:, at - 1 : at + 1] *= 0.65
        image[at - 1 : at + 1] *= 0.65
    if lines:
        worn = 0.85 * np.clip(clouds(size, 6, rng, base=16) + 0.9, 0, 1)[..., None]
        paint = np.array([(205, 165, 40), (225, 225, 220)][rng.integers(2)], np.float32)
        half = max(2, size // 180)
        for axis, at in ((1, 0.18), (1, 0.86), (0, 0.3)):
            stripe = slice(int(at * size) - half, int(at * size) + half)
            where = (slice(None), stripe) if axis else (stripe, slice(None))
            image[where] = image[where] * (1 - worn[where]) + paint * worn[where]
    return image


def wood(rng: np.random.Generator, size: int = 512):
    """Sawn timber."""
    grain = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), sigmaX=40, sigmaY=1.2)
    return np.array([165, 122, 78]) * (1 + 0.08 * clouds(size, 4, rng) + 1.2 * grain)[..., None]


def screen(kind: str, rng: random.Random):
    """What a phone shows, 300x640."""
    if kind == "dark":
        return Image.new("RGB", (300, 640), (6, 6, 8))
    if kind in ("photo", "video", "home"):
        return pictured(kind, rng)
    light = rng.random() < 0.75 and kind != "night"
    image = Image.new("RGB", (300, 640), (235, 238, 240) if light else (24, 26, 30))
    draw = ImageDraw.Draw(image)
    accent = rng.choice([(60, 140, 90), (40, 90, 190), (200, 60, 50), (230, 150, 40), (90, 90, 100)])
    draw.rectangle((0, 0, 300, 60), fill=accent)
    for k in range(8):
        y = 80 + k * 64
        if kind in ("chat", "night"):
            x = 20 if k % 2 else 120
            fill = ((255, 255, 255) if light else (60, 62, 66)) if k % 2 else (150, 220, 120)
            draw.rounded_rectangle((x, y, x + 160, y + 45), 12, fill=fill)
        elif kind == "feed":
            draw.rectangle((12, y, 100, y + 54), fill=tuple(rng.randint(40, 230) for _ in range(3)))
            for line in range(3):
                ink = (120, 120, 120) if light else (150, 150, 150)
                draw.rectangle((112, y + 6 + 16 * line, rng.randint(180, 288), y + 13 + 16 * line), fill=ink)
        elif kind == "shop":  # two columns of goods
            x, tall = 10 + 148 * (k % 2), 150
            y = 75 + (k // 2) * tall
            image.paste(snapshot((134, 100), rng), (x, y))
            draw.rectangle((x, y + 104, x + 134, y + 142), fill=(255, 255, 255) if light else (40, 42, 46))
            draw.rectangle((x + 6, y + 122, x + 60, y + 136), fill=(220, 60, 30))
        else:  # a warehouse form
            draw.rectangle((16, y, 284, y + 48), outline=(120, 120, 120), width=2)
            draw.rectangle((26, y + 14, rng.randint(60, 240), y + 32), fill=(80, 80, 90))
    return image


def pictured(kind: str, rng: random.Random):
    """A phone's screen that is mostly a picture: a photo, a video, the home screen; 300x640."""
    image = Image.new("RGB", (300, 640), (8, 8, 8) if rng.random() < 0.6 else (240, 240, 240))
    draw = ImageDraw.Draw(image)
    if kind == "home":
        image.paste(snapshot((300, 640), rng), (0, 0))
        for k in range(20):
            x, y = 22 + 70 * (k % 4), 60 + 100 * (k // 4)
            draw.rounded_rectangle((x, y, x + 46, y + 46), 10, fill=tuple(rng.randint(30, 250) for _ in range(3)))
    elif kind == "photo":
        tall = rng.choice([400, 400, 540, 225])
        image.paste(snapshot((300, tall), rng), (0, rng.choice([70, (640 - tall) // 2])))
        for x in (50, 140, 230):
            draw.rectangle((x, 600, x + 22, 622), fill=(130, 130, 130))
    elif rng.random() < 0.5:  # upright video, with buttons at its side
        image.paste(snapshot((300, 640), rng), (0, 0))
        for y in (300, 370, 440, 510):
            draw.ellipse((256, y, 288, y + 32), fill=(250, 250, 250))
    else:  # video on top, what others say below
        image.paste(snapshot((300, 170), rng), (0, 40))
        for y in range(230, 620, 56):
            draw.ellipse((12, y, 44, y + 32), fill=tuple(rng.randint(60, 220) for _ in range(3)))
            draw.rectangle((56, y + 8, rng.randint(140, 286), y + 20), fill=(130, 130, 130))
    return image


def snapshot(size: tuple[int, int], rng: random.Random):
    """What somebody took a picture of: parcels on a floor, or things and places of any colour."""
    width, height = size
    drawn = np.random.default_rng(rng.randrange(2**32))
    board = [tuple(float(c) for c in np.array(tone) * drawn.uniform(0.6, 1.15)) for tone in BOARD]
    if rng.random() < 0.55:
        tone = drawn.uniform(70, 190) * (np.array([1.0, 0.98, 0.94]) + drawn.uniform(-0.06, 0.06, 3))
        image = np.full((height, width, 3), tone)
        for _ in range(rng.randint(1, 5)):
            centre = drawn.uniform(0.1, 0.9, 2) * size
            side, angle = drawn.uniform(0.2, 0.55) * width, drawn.uniform(0, 180)
            for share, colour in ((1.0, rng.choice(board)), (drawn.uniform(0.3, 0.6), (235.0, 235.0, 230.0))):
                box = cv2.boxPoints((tuple(centre), (side * share, side * share * drawn.uniform(0.6, 1.0)), angle))
                cv2.fillConvexPoly(image, np.round(box).astype(np.int32), colour)
    else:
        ends = drawn.uniform(20, 245, (2, 3))
        share = np.linspace(0, 1, height)[:, None, None]
        image = np.broadcast_to(ends[0] * (1 - share) + ends[1] * share, (height, width, 3)).copy()
        for _ in range(rng.randint(2, 7)):
            centre = tuple(int(v) for v in drawn.uniform(0, 1, 2) * size)
            colour = tuple(float(c) for c in drawn.uniform(20, 245, 3))
            cv2.circle(image, centre, int(drawn.uniform(0.05, 0.3) * width), colour, -1)
    image = cv2.GaussianBlur(image, (0, 0), width / 150) * (1 + 0.06 * drawn.standard_normal((height, width, 1)))
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


def viewfinder_picture(seen, style: int) -> np.ndarray:
    """What a phone shows whose camera sees `(h, w, 3)` 8-bit RGB: `VIEWFINDER` large, with the buttons of an app."""
    width, height = VIEWFINDER
    screen = np.full((height, width, 3), (0, 14)[style % 2], np.uint8)
    top, bottom = (round(edge * height) for edge in ((0, 1), (0.11, 0.78), (0.05, 0.82), (0, 1))[style])
    screen[top:bottom] = cv2.resize(seen, (width, bottom - top), interpolation=cv2.INTER_CUBIC)
    if style == 3:  # an app that reads codes: darker, a line across
        screen = (screen * 0.85).astype(np.uint8)
        cv2.line(screen, (width // 6, height // 2), (width * 5 // 6, height // 2), (60, 220, 110), 2)
    else:
        cv2.circle(screen, (width // 2, round(0.89 * height)), round(0.11 * width), (240, 240, 240), -1)
        cv2.circle(screen, (width // 5, round(0.89 * height)), round(0.06 * width), (150, 140, 130), -1)
    return screen


def vest_cloth(colour: str):
    """Cloth round the torso: x goes round the body from the back, y from hem (bottom) to collar."""
    size = 512
    weave = np.random.default_rng(0).standard_normal((size, size, 1))
    image = Image.fromarray((np.array(VEST_COLOURS[colour]) * (1 + 0.05 * weave)).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    if colour in ("yellow", "orange", "lime"):
        for y in (300, 400):
            draw.rectangle((0, y, size, y + 34), fill=(205, 208, 205))
        for x in (160, 330):
            draw.rectangle((x, 0, x + 24, 300), fill=(205, 208, 205))
    draw.rectangle((253, 60, 258, size), fill=(25, 25, 25))
    return image
