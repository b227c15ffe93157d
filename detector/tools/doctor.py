"""`labelwatch doctor`: this machine enters, what it can do leaves; or a camera enters, and how far it sees."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.clock import KernelClock, iso, kernel_clock
from detector.errors import (
    ConfigError,
    LabelwatchError,
    MissingPart,
    NotThere,
    Problem,
    SourceUnavailable,
    StoreError,
)
from detector.machine.resources import resource
from detector.media.pictures import Bgr, Picture
from detector.media.shape import AS_TOLD
from detector.mqtt.broker import find_mosquitto
from detector.sources.confined import LANDLOCK_PORTS, landlock_version
from detector.values import DAY_S, LABELS
from detector.version import installed

if TYPE_CHECKING:
    from detector.config import Analysis, Camera, EdgeConfig, HubConfig
    from detector.inference.detector import SceneDetector

logger = logging.getLogger(__name__)

FINE, NOTE, BAD = "fine", "note", "bad"
# Instructions that make a network faster: wide floating point, then 8-bit and bfloat16 products.
CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "avx512_bf16", "asimddp", "i8mm")
LITTLE_DISK, NO_DISK = 10 * 2**30, 2**30
FIRST_PICTURE_S = 30.0
HOPELESS = ("unreachable", "refused", "no_video")  # troubles of a camera that waiting doesn't mend
WORKER_LOCK, HUB_LOCK = "outbox.db.lock", "hub.lock"  # in data_dir, held by who runs
PICTURES = ("", ".png", ".jpg", ".jpeg", ".webp", ".bmp")  # kinds that can be written


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `fine`, a `note` that nothing hangs on, or `bad`: a part of labelwatch can't work here."""

    what: str
    state: str
    told: str
    hint: str = ""

    def __str__(self) -> str:
        mark = {FINE: "ok  ", NOTE: "note", BAD: "BAD "}[self.state]
        return f"{mark} {self.what}: {self.told}" + (f" ({self.hint})" if self.hint else "")

    def record(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def examine(data_dir: Path, config: EdgeConfig | HubConfig | None = None) -> Iterator[Finding]:
    """Every finding, in the order in which a missing one would stop the next.

    Args:
        data_dir: Whose disk is looked at.
        config: Whose certificates are looked at, and whose brokers are tried.
    """
    for look in (python, processor, opencv, video, runtimes):
        yield look()
    yield from models()
    yield from weights()
    yield broker()
    yield confinement()
    yield chinese_font()
    yield disk(data_dir)
    yield clock()
    if config is not None:
        yield from certificates(config, time.time())
        yield from rights(config)
        yield from brokers(config)


def python() -> Finding:
    """The interpreter."""
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    old = sys.version_info < (3, 11)
    return Finding("python", BAD if old else FINE, told, "3.11 or newer is needed" if old else "")


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Cores this process may use, and instructions that matter to networks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Finding("processor", FINE, f"{cores} cores; its instructions aren't told by this system")
    fields = [line.partition(":") for line in lines]
    there = {word for key, _, value in fields if key.strip() in ("flags", "Features") for word in value.split()}
    model = next((value.strip() for key, _, value in fields if key.strip() == "model name"), platform.machine())
    known = [flag for flag in CPU_FLAGS if flag in there]
    slow = platform.machine() in ("x86_64", "AMD64") and "avx2" not in there
    return Finding(
        "processor",
        NOTE if slow else FINE,
        f"{model}, {cores} cores, {' '.join(known) or 'no wide instructions'}",
        "without AVX2 a look takes several times as long" if slow else "",
    )


def opencv() -> Finding:
    """OpenCV, which needs system libraries that pip can't bring."""
    try:
        import cv2
    except ImportError as error:
        return Finding("opencv", BAD, f"can't be loaded: {error}", "apt-get install libgl1 libglib2.0-0 libxcb1")
    return Finding("opencv", FINE, str(cv2.__version__))


def video(clip: Path | None = None) -> Finding:
    """FFmpeg's libraries inside PyAV, by decoding the first picture of a clip (the shipped one)."""
    version = installed("av") or "missing"
    try:
        from detector.sources.recording import Recording

        clip = clip or resource("configs", "demo", "sweep_near.mp4")
        recording = Recording(clip, camera="doctor", start_at=0.0, fps=1.0)
        try:
            picture = next(iter(recording), None)
        finally:
            recording.close()
    except (ImportError, LabelwatchError) as error:
        return Finding("video", BAD, f"PyAV {version} can't decode: {error}", "make setup installs it")
    if picture is None:
        return Finding("video", BAD, f"PyAV {version} decodes no picture of {clip}", "restore the file")
    width, height = picture.size
    return Finding("video", FINE, f"PyAV {version} with its own FFmpeg decodes H.264 ({width}x{height})")


def runtimes() -> Finding:
    """What networks can run on."""
    there = {name: installed(name) for name in ("onnxruntime", "openvino")}
    told = ", ".join(f"{name} {version}" for name, version in there.items() if version)
    if not there["onnxruntime"]:
        return Finding("runtimes", BAD, told or "none", "make setup installs onnxruntime")
    return Finding("runtimes", FINE, told + ("" if there["openvino"] else "; openvino (optional) is not installed"))


def models() -> Iterator[Finding]:
    """Each model card in `models/`: whether it loads, on what, and how long a look takes."""
    from detector.config import Analysis
    from detector.inference.card import cards_in, check_variants, find_card
    from detector.inference.detector import SceneDetector
    from detector.inference.session import Session, choose

    try:
        cards = cards_in(resource("models"))
    except MissingPart as error:
        yield Finding("models", BAD, str(error))
        return
    for path in cards:
        try:
            card = find_card(str(path))
            check_variants(card)
            session = Session(card)
            took_s = _least_s(SceneDetector(session, card.thresholds, Analysis()))
            auto = choose(card, "auto")
        except LabelwatchError as error:
            yield Finding(f"model {path.stem}", BAD, str(error))
            continue
        size = card.path.stat().st_size / 1e6
        yield Finding(
            f"model {path.stem}",
            FINE,
            f"{card.file}, {size:.1f} MB, {session.precision} by {session.runtime}: {took_s * 1000:.0f} ms for a whole "
            f"frame on one thread; analysis.precision auto takes {auto.precision} by {auto.runtime}",
        )
    if not cards:
        yield Finding(
            "models", BAD, f"no model card in {resource('models')}", "restore models/scene.yaml and scene.onnx"
        )


def weights() -> Iterator[Finding]:
    """The learnt weights in `models/` that acts and sweeps are judged by: whether they load."""
    from detector.rules import evidence, seriality

    for name, load in (("acts", evidence.load_weights), ("sweeps", seriality.load_weights)):
        try:
            load()
        except LabelwatchError as error:
            yield Finding(f"weights {name}", BAD, str(error), f"without it nothing is judged: restore {name}.yaml")
        else:
            yield Finding(f"weights {name}", FINE, f"{name}.yaml")


def _least_s(detector: SceneDetector) -> float:
    """Shortest of four looks at an empty 1280x720 frame, seconds."""
    from detector.media.pictures import Bgr

    picture, nobody, took = np.full((720, 1280, 3), 114, np.uint8), np.zeros((0, 4), np.float32), []
    for _ in range(4):
        began = time.perf_counter()
        detector.look(Bgr(picture), nobody, dict.fromkeys(LABELS, 1.0))
        took.append(time.perf_counter() - began)
    return min(took)


def broker(find: Callable[[], str | None] = find_mosquitto) -> Finding:
    """The MQTT broker: mosquitto for production, the one that pip brought for the demo."""
    program = find()
    if program:
        return Finding("broker", FINE, program)
    if version := installed("iotcore"):
        hint = "for production: apt-get install mosquitto"
        return Finding("broker", NOTE, f"no mosquitto; the demo uses iotcore {version}", hint)
    return Finding("broker", BAD, "neither mosquitto nor iotcore", "apt-get install mosquitto")


def confinement(version: Callable[[], int] = landlock_version) -> Finding:
    """What the kernel keeps from a process that reads a camera or a stranger's file, should that be hijacked."""
    what, told = "confinement", version() if sys.platform == "linux" else 0
    if told < 1:
        hint = "limits hold, but a hijacked one could read this user's files: Linux 5.13 with landlock among its lsm="
        return Finding(what, NOTE, "no Landlock: who reads cameras and uploads is not shut off from files", hint)
    if told < LANDLOCK_PORTS:
        hint = "a camera may lead its reader to other services in reach: Linux 6.7 or newer"
        return Finding(what, NOTE, f"Landlock {told} shuts who reads cameras and uploads off from files alone", hint)
    return Finding(what, FINE, f"Landlock {told} shuts who reads cameras and uploads off from files and other ports")


def chinese_font() -> Finding:
    """A font with Chinese characters, for pages and reports opened or printed on this machine."""
    program = shutil.which("fc-list")
    if program is None:
        return Finding("chinese font", NOTE, "can't be told: fc-list is missing", "apt-get install fontconfig")
    done = subprocess.run([program, ":lang=zh", "family"], capture_output=True, check=False)
    listed = done.stdout.decode(errors="replace")  # whatever this terminal's encoding is
    families = sorted({line.split(",")[0].strip() for line in listed.splitlines() if line.strip()})
    if not families:
        hint = "apt-get install fonts-wqy-zenhei; browsers on other machines have their own"
        return Finding("chinese font", NOTE, "none: pages opened on this machine show boxes", hint)
    return Finding("chinese font", FINE, families[0])


def disk(data_dir: Path, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free) -> Finding:
    """Room for clips and the outbox."""
    whole = data_dir.resolve()
    # By access(2): of what lies in a folder that is shut to us, as a service's is, pathlib would fail.
    there = next((p for p in (whole, *whole.parents) if os.access(p, os.F_OK, effective_ids=True)), Path("/"))
    free = free_bytes(there)
    told = f"{free / 2**30:.1f} GiB free at {there}"
    if free < NO_DISK:
        return Finding("disk", BAD, told, "clips and alerts need room: free some, or set data_dir elsewhere")
    return Finding("disk", NOTE if free < LITTLE_DISK else FINE, told, "little for clips" if free < LITTLE_DISK else "")


def certificates(config: EdgeConfig | HubConfig, now: float) -> Iterator[Finding]:
    """Certificates that a configuration names, and at a hub those of its boxes: which end soon, and what to do.

    Args:
        config: Of an edge box or a hub.
        now: Unix seconds.
    """
    from detector.config import HubConfig
    from detector.credentials.authority import ends_at
    from detector.credentials.certs import RENEW_DAYS, boxes_end_at

    folder = config.certs_dir if isinstance(config, HubConfig) else None
    hint = "let this box join its hub again (labelwatch join), or bring it the files of labelwatch certs --edge"
    if isinstance(config, HubConfig):
        hint = f"run labelwatch certs {folder or 'FOLDER'} again, then restart broker and hub"
    ends = []
    for file in config.certificates:
        try:
            ends.append((ends_at(file), str(file), BAD, hint))
        except StoreError as error:
            yield Finding(f"certificate {file}", BAD, str(error), hint)
    if folder is not None:
        again = "let it join again, where it is still in service"
        try:
            ends += [(at, f"of box {name}", NOTE, again) for name, at in boxes_end_at(folder).items()]
        except StoreError as error:
            yield Finding("certificates", NOTE, f"those of boxes can't be told: {error}", "ask as the hub's user")
    for n, (at, which, over, remedy) in enumerate(sorted(ends)):
        day, left_days = iso(at)[:10], (at - now) / DAY_S
        if left_days <= 0:
            yield Finding(f"certificate {which}", over, f"ended on {day}", remedy)
        elif left_days <= RENEW_DAYS:
            yield Finding(f"certificate {which}", NOTE, f"ends on {day}, in {int(left_days)} days", remedy)
        elif n == 0:
            yield Finding("certificates", FINE, f"{which} ends first, on {day}")


def rights(config: EdgeConfig | HubConfig) -> Iterator[Finding]:
    """Whether the broker of `certs`, at a hub that has its folder, starts with what this version writes for it."""
    from detector.config import HubConfig
    from detector.credentials.certs import of_another_version

    if not isinstance(config, HubConfig) or config.certs_dir is None:
        return
    hint = f"run labelwatch certs {config.certs_dir} again, which keeps the certificates, then restart the broker"
    try:
        for file in of_another_version(config.certs_dir):
            yield Finding("broker's rights", NOTE, f"{file} isn't as this version writes it", hint)
    except StoreError as error:
        yield Finding("broker's rights", NOTE, f"can't be told: {error}", "ask as root")


def brokers(config: EdgeConfig | HubConfig) -> Iterator[Finding]:
    """Brokers that a configuration names: whether each lets in who runs with it. Nothing is sent or left there.

    Where a worker or hub runs with it none is logged into: one that names its clients by their login, as the one that
    we ship does, would cut that off.
    """
    from detector.config import HubConfig
    from detector.mqtt.connection import greet
    from detector.mqtt.trial import try_broker

    named, who, lock = [config.broker], "worker", WORKER_LOCK
    if isinstance(config, HubConfig):
        who, lock = "hub", HUB_LOCK
        if config.integrations.any_enabled and config.integrations.broker is not None:
            named.append(config.integrations.broker)
    is_running = _is_held(config.data_dir / lock)
    for one in named:
        what, by = f"broker {one.host}:{one.port}", "over TLS" if one.ca_file else "without TLS"
        began = time.perf_counter()
        try:
            if is_running and (one.username or one.cert_file):
                greet(one)
                told = f"answers {by}; not logged into, or the {who}, which seems to run, might lose its connection"
                yield Finding(what, NOTE, told, f"the {who}'s log says whether it is let in")
            else:
                version = try_broker(one)
                took_ms = (time.perf_counter() - began) * 1000
                yield Finding(what, FINE, f"lets us in {by}, by MQTT {version}, in {took_ms:.0f} ms")
        except LabelwatchError as error:
            yield Finding(what, BAD, str(error))
        except OSError as error:
            yield Finding(what, BAD, f"a file of broker.ca_file, cert_file and key_file can't be used: {error}")


def _is_held(lock: Path) -> bool:
    """Whether a process holds this lock; so also where that can't be seen."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def clock(state: Callable[[], KernelClock | None] = kernel_clock) -> Finding:
    """Whether the kernel holds its clock for synchronised; evidence carries its time."""
    told = state()
    if told is None:
        return Finding("clock", NOTE, "can't be told on this system")
    if not told.synchronised:
        hint = "evidence carries this time: switch NTP on (timedatectl set-ntp true, or chrony)"
        return Finding("clock", NOTE, "not known to be synchronised", hint)
    return Finding("clock", FINE, "synchronised")


def see_camera(
    source: str | Camera, out: Path, *, height_m: float, tilt_deg: float, fov_deg: float, analysis: Analysis,
    language: str,
) -> dict[str, Any]:  # fmt: skip
    """Draw how far a camera can judge a phone on one of its pictures.

    Args:
        source: A picture, a video or a folder of videos, an `rtsp://` address, or a camera of a configuration.
        out: The picture to write.
        height_m: Height of the lens above the ground.
        tilt_deg: Tilt of the optical axis below the horizontal.
        fov_deg: Horizontal field of view, before the camera's pictures are turned.
        analysis: How pictures are looked at; the card of its model says how large a phone must be.
        language: Of what is written on the picture, `zh` or `en`.

    Returns:
        What was found (`Coverage.record`), with the picture's size and path, and whether it may be squeezed.

    Raises:
        ConfigError: A value lies outside, or the address holds a password.
        ModelError: The model's card has no curve of phones by size, or no size is enough.
        SourceUnavailable: There is no picture.
    """
    import cv2

    from detector.config import Camera
    from detector.coverage import View, coverage_with, draw, least_px_of
    from detector.media.shape import across, is_doubtful

    if out.suffix.lower() not in PICTURES:
        raise ConfigError([Problem("--out", "", f"no kind of picture: {out.name}", "name it .png or .jpg")])
    shown = Path(source if isinstance(source, str) else source.source)
    if out.exists() and shown.exists() and out.samefile(shown):
        raise ConfigError([Problem("--out", "", f"is the picture looked at: {out}", "name another file")])
    try:  # a camera is long to answer: what is wrong anyhow is told before
        least_px_of(analysis.model)
        View(height_m, tilt_deg, fov_deg, 1, 1)
    except ValueError as error:
        raise _wrong_geometry(error) from error
    picture = one_picture(source)
    size = picture.size
    try:
        covered = coverage_with(View(height_m, tilt_deg, fov_deg, *size, turned=picture.turn), analysis)
    except ValueError as error:
        raise _wrong_geometry(error) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    written, data = cv2.imencode(out.suffix or ".png", draw(picture.bgr(), covered, language))
    if not written:
        raise ConfigError([Problem("--out", "", f"can't be made a picture: {out.name}", "name it .png")])
    out.write_bytes(data.tobytes())
    is_told = isinstance(source, Camera) and source.aspect is not None
    squeezed = not is_told and is_doubtful(across(size, picture.turn))
    seen = {"picture": str(out), "width": size[0], "height": size[1], "squeezed": squeezed}
    return seen | covered.record()


def _wrong_geometry(error: ValueError) -> ConfigError:
    hint = "metres, degrees below the horizontal, degrees from left to right"
    return ConfigError([Problem("--camera", "geometry", str(error), hint)])


def camera_in(config: EdgeConfig, file: Path, name: str) -> Camera:
    """A camera of a configuration; `file` it was read from, for the message.

    Raises:
        ConfigError: It has no such camera.
    """
    cameras = {camera.name: camera for camera in config.cameras}
    if name not in cameras:
        raise ConfigError([Problem(str(file), "cameras", f"no camera {name}", f"there are: {', '.join(cameras)}")])
    return cameras[name]


def one_picture(source: str | Camera) -> Picture:
    """One picture of a picture, a video or a folder of videos, an address, or a camera.

    Raises:
        ConfigError: The address holds a password.
        SourceUnavailable: There is none.
    """
    from pydantic import ValidationError

    from detector.config import Camera
    from detector.tools.stills import SUFFIXES, read_picture

    if isinstance(source, Camera) and source.live:
        return _live_picture(source)
    if isinstance(source, str) and "://" in source:
        try:
            return _live_picture(Camera(name="doctor", source=source))
        except ValidationError as error:
            reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            hint = "put the camera into a configuration, and give --config and its name"
            raise ConfigError([Problem("--camera", "", reason, hint)]) from error
    from detector.sources.recording import Recording, recordings_in

    path = Path(source if isinstance(source, str) else source.source)
    if path.is_dir():  # as a camera's source may be
        path = recordings_in(path)[0]
    if not path.is_file():
        raise NotThere(path, "picture or video")
    if path.suffix.lower() in SUFFIXES:
        picture = read_picture(path)
        if isinstance(picture, str):
            raise SourceUnavailable(f"{path}: {picture}")
        return Bgr(picture)
    shape = AS_TOLD if isinstance(source, str) else source.shape
    recording = Recording(path, camera="doctor", start_at=0.0, fps=1.0, shape=shape)
    try:
        frame = next(iter(recording), None)
    finally:
        recording.close()
    if frame is None:
        raise SourceUnavailable(f"{path}: no picture in it that can be decoded")
    return frame.picture


def _live_picture(camera: Camera) -> Picture:
    from detector.clock import SystemClock
    from detector.sources.live import LiveSource

    camera.password()  # or else what is wrong with it is said once the time is up
    logger.info("waiting for a picture, %.0f s at most camera=%s", FIRST_PICTURE_S, camera.name)
    stop = threading.Event()
    source = LiveSource(camera, fps=5.0, clock=SystemClock(), stop=stop)
    began, frame = time.monotonic(), None
    try:
        source.start()
        while frame is None and time.monotonic() - began < FIRST_PICTURE_S:
            frame = source.taken(0.2)
            if source.stats.last_error and source.stats.trouble in HOPELESS:
                break
    finally:
        stop.set()
        source.close()
    if frame is None:
        trouble = source.stats.last_error or "no picture"
        raise SourceUnavailable(f"{camera.source}: {trouble} (waited {time.monotonic() - began:.0f} s)")
    return frame.picture
