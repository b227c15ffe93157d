"""Throw bytes at everything that takes in strangers' bytes; run by hand: `python -m tests.bench.fuzz [TARGET …]`.

Without names: every target of `tests.parts_hostile_decoders` that runs in a process of ours, more than a million
executions together. `probing` is the hub's look into uploaded clips: `Copies.format_of`, which must never fail, over
clips of which bits, boxes and lengths were changed. Prints a table; the exit status is 1 when anything broke, and what
broke it is kept.

    --runs N        executions of each target, instead of its share
    --seconds S     at most, of each target
    --corpus DIR    where what was found to lead somewhere new is kept, and begun from

Where atheris is installed (it is not among this project's packages), it guides by coverage; else bytes are changed
blindly, which finds less.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.parts_hostile_decoders import TARGETS, Target, folder_in_memory

ONE_S = 10  # longest that one execution may take
MEMORY_MB = 2048
LONGEST_INPUT = 16_384
FORKED = 0.98  # of looks into clips; the others load the program as the hub does
BOXES = (
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stts", b"stsc", b"stsz", b"stco", b"avcC", b"mdat", b"ftyp",
    b"mvhd", b"tkhd", b"mdhd", b"elst", b"ctts", b"stss", b"avc1", b"hvc1", b"dref", b"udta", b"meta", b"moof", b"sidx",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run it; an exit status."""
    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, "probing", []])
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seconds", type=int, default=100_000)
    parser.add_argument("--corpus", type=Path, default=None)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    names = options.targets or list(TARGETS)
    if options.one:
        return _run_here(TARGETS[names[0]], options.runs, options.seconds, options.corpus)
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix="fuzz-"))
    print("| target | executions | seconds | how | broke |\n|---|---|---|---|---|", flush=True)
    total = broke = 0
    for name in names:
        if name == "probing":
            executions, seconds, how, said = _probe(options.runs or 5000, options.seconds)
        else:
            executions, seconds, how, said = _run(
                name, options.runs or TARGETS[name].runs, options.seconds, corpus / name
            )
        total, broke = total + executions, broke + bool(said)
        print(f"| {name} | {executions:,} | {seconds:.0f} | {how} | {'**yes**' if said else 'no'} |", flush=True)
        if said:
            print(said, file=sys.stderr, flush=True)
    print(f"\n{total:,} executions, {broke} targets broke; corpus and what broke them: {corpus}")
    return 1 if broke else 0


def _run(name: str, runs: int, seconds: int, corpus: Path) -> tuple[int, float, str, str]:
    """One target in a process of its own: executions, seconds, how, and what broke."""
    corpus.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.bench.fuzz", name, "--one", "--runs", str(runs)]
    done = subprocess.run(
        [*command, "--seconds", str(seconds), "--corpus", str(corpus)],
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
    )
    text = done.stdout + done.stderr
    found = re.findall(r"number_of_executed_units:\s*(\d+)", text) or re.findall(r"#(\d+)\s", text)
    how = "guided" if "guided" in text else "blind"
    broken = done.returncode != 0
    return (
        int(found[-1]) if found else 0,
        time.monotonic() - began,
        how,
        f"{name} ended with {done.returncode}:\n{text[-2500:]}" if broken else "",
    )


def _run_here(target: Target, runs: int, seconds: int, corpus: Path) -> int:
    logging.disable(logging.CRITICAL)  # a line for each would be all that is done
    try:
        import atheris
    except ImportError:
        return _blindly(target, runs, seconds, corpus)
    with folder_in_memory() as folder:
        with atheris.instrument_imports(include=["detector"]):
            check, seeds = target.begin(Path(folder))
        for n, seed in enumerate(seeds):
            (corpus / f"seed-{n}").write_bytes(seed)
            check(seed)
        print("guided", flush=True)
        limits = [f"-runs={runs}", f"-max_total_time={seconds}", f"-timeout={ONE_S}", f"-rss_limit_mb={MEMORY_MB}"]
        more = [f"-max_len={LONGEST_INPUT}", "-print_final_stats=1", f"-artifact_prefix={corpus}-", "-len_control=10"]
        atheris.Setup(["fuzz", *limits, *more, str(corpus)], check)
        atheris.Fuzz()  # it ends the process
    return 0


def _blindly(target: Target, runs: int, seconds: int, corpus: Path) -> int:
    with folder_in_memory() as folder:
        check, seeds = target.begin(Path(folder))
        done = blind(check, seeds, runs, seconds, corpus.with_name(f"{corpus.name}-broke"))
    print(f"number_of_executed_units: {done}")
    return 0


def blind(
    check: Callable[[bytes], None], seeds: list[bytes], runs: int, seconds: float, broke: Path | None = None
) -> int:
    """Try the seeds, then changed ones; how many executions there were. What breaks a check comes out of it."""
    chance = random.Random(1)
    until = time.monotonic() + seconds
    for n in range(runs):
        if time.monotonic() > until:
            return n
        data = seeds[n] if n < len(seeds) else mutated(chance.choice(seeds), chance)
        try:
            with _not_longer_than(ONE_S):
                check(data)
        except BaseException:
            if broke:
                broke.write_bytes(data)
            raise
    return runs


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes with a few of them changed, taken out, doubled or put elsewhere."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, length = chance.randrange(len(out) + 1), chance.choice((1, 1, 2, 4, 8, 64, 1000))
        match chance.randrange(6):
            case 0:
                del out[at : at + length]
            case 1 if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case 2:
                out[at:at] = chance.randbytes(min(length, 8))
            case 3:
                out[at:at] = out[at : at + length]
            case 4:
                part = out[at : at + length]
                del out[at : at + length]
                place = chance.randrange(len(out) + 1)
                out[place:place] = part
            case _:
                out[at : at + length] = chance.choice(
                    (b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"-1", b"1e999", b"[" * 50, b'"', b"\\ud800", b"\n")
                )
    return bytes(out)


@contextlib.contextmanager
def _not_longer_than(seconds: int) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"one execution took more than {seconds} s")

    former = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


# Clips


def clip_seeds(folder: Path) -> list[bytes]:
    """A few small clips as edges send them, and some that they don't."""
    from tests.conftest import REPOSITORY
    from tests.sources.footage import make_sound, make_video

    made = [
        make_video(folder / "a.mp4", seconds=1, size=(160, 120)),
        make_video(folder / "b.mp4", seconds=1, size=(160, 120), b_frames=2),
        make_video(folder / "c.mp4", seconds=0.4, size=(160, 120), codec="libx265"),
        make_video(folder / "d.mp4", seconds=0.4, size=(160, 120), codec="mjpeg", pixels="yuvj420p"),
        make_sound(folder / "e.mp4"),
        REPOSITORY / "tests" / "clips" / "thrown_5_up.mp4",
    ]
    return [path.read_bytes() for path in made]


def mutated_clip(data: bytes, chance: random.Random) -> bytes:
    """A clip of which bits, boxes, their lengths or their places were changed, or that is cut off."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if len(out) < 32:
            break
        boxes = [at for kind in BOXES for at in _found(out, kind)]
        box = chance.choice(boxes) if boxes else 8
        length = int.from_bytes(out[box - 4 : box])
        match chance.randrange(9):
            case 0:  # bits of a box's content, where the tables are
                for _ in range(chance.choice((1, 2, 8))):
                    out[min(len(out) - 1, box + 4 + chance.randrange(max(1, min(length, 200))))] ^= (
                        1 << chance.randrange(8)
                    )
            case 1:  # a box's length
                value = chance.choice(
                    (0, 1, 7, 8, length - 1, length + 1, 2 * length, 2**31 - 1, 2**31, 2**32 - 1, len(out))
                )
                out[box - 4 : box] = (value % 2**32).to_bytes(4)
            case 2:  # a number in a box
                at = box + 4 + 4 * chance.randrange(12)
                out[at : at + 4] = chance.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1, chance.randrange(2**32))).to_bytes(
                    4
                )
            case 3:  # two boxes change places
                other = chance.choice(boxes) if boxes else 8
                out[box : box + 4], out[other : other + 4] = out[other : other + 4], out[box : box + 4]
            case 4:
                out[box : box + 4] = chance.choice(BOXES)
            case 5:
                del out[chance.randrange(len(out)) :]
            case 6:  # a box comes twice
                part = out[box - 4 : box - 4 + min(length, 4000)]
                out[box - 4 : box - 4] = part
            case 7:  # bits of the pictures
                for _ in range(chance.choice((1, 8, 64))):
                    out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
            case _:
                del out[box - 4 : box - 4 + max(1, min(length, 4000))]
    return bytes(out)


def _found(data: bytearray, kind: bytes) -> list[int]:
    found, at = [], data.find(kind, 4)
    while at >= 0 and len(found) < 8:
        found.append(at)
        at = data.find(kind, at + 4)
    return found


class _Fork:
    """A function in a process of its own, with what `subprocess.Popen` has for a program."""

    def __init__(self, main: Callable[[list[str]], int], arguments: list[str]) -> None:
        theirs, ours = os.pipe()
        said, telling = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                os.setsid()
                os.dup2(theirs, 0)
                os.dup2(telling, 1)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                os.closerange(3, 64)
                sys.stdout = os.fdopen(1, "w")
                status = main(arguments)
                sys.stdout.flush()
            finally:
                os._exit(status)
        os.close(theirs)
        os.close(telling)
        self.stdin, self.stdout = os.fdopen(ours, "wb"), os.fdopen(said, "rb")

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def _probe(runs: int, seconds: float) -> tuple[int, float, str, str]:
    """The hub's look into clips: in this process is the hub's part, which must outlive whatever the program does."""
    began = time.monotonic()
    with folder_in_memory() as name:
        outcomes, broken = probe_clips(Path(name), runs, seconds)
    told = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common())
    return outcomes.total(), time.monotonic() - began, told, broken


def probe_clips(folder: Path, runs: int, seconds: float) -> tuple[Counter[str], str]:
    """What became of so many changed clips, and what broke the hub's part, if anything did."""
    import hashlib

    from detector.clock import SystemClock
    from detector.hub.footage import transcode
    from detector.hub.footage.derived import Copies
    from detector.hub.storage.store import Store
    from detector.hub.storage.stored import Clip

    class _Forking(Copies):
        """Runs the program in forks of this process: the same, limits and all, but for half a second of loading."""

        def _begun(self, *arguments: str) -> Any:
            return _Fork(transcode.main, list(arguments)) if chance.random() < FORKED else super()._begun(*arguments)

    chance, outcomes, until = random.Random(2), Counter[str](), time.monotonic() + seconds
    seeds = clip_seeds(folder)
    store = Store(f"sqlite:///{folder / 'hub.sqlite'}")
    copies = _Forking(folder, store, SystemClock(), "UTC")
    transcode.av.logging.set_level(None)
    path = folder / "clip.mp4"
    try:
        for n in range(runs):
            if time.monotonic() > until:
                break
            data = seeds[n] if n < len(seeds) else mutated_clip(chance.choice(seeds), chance)
            path.write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            clip = Clip("inc-1", n, "s", "e", "cam", 0.0, 1.0, len(data), digest, path.name, 0.0)
            found = copies.format_of(clip)
            outcomes[found.reason or ("plays" if found.plays else "to be copied")] += 1
    except Exception as error:  # whatever it is, the hub let it through
        kept = Path(tempfile.gettempdir()) / f"fuzz-clip-{os.getpid()}.mp4"
        kept.write_bytes(data)
        return outcomes, f"{type(error).__name__}: {error}; the clip is {kept}"
    finally:
        store.close()
    return outcomes, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
