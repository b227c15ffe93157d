"""A folder of ten thousand files, of which many are no good: time and memory of finding what is there, and of all.

    python -m tests.bench.archive [FILES [JOBS]]

Seven of ten are recordings of 16 cameras, a second each; the others are sound, text, nothing, cut off, copies under
another name, and recordings with odd names. Prints what is told of them; the exit status is 1 when any isn't named.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from detector.config import Analysis, EdgeConfig
from detector.recorded.archive import gather
from detector.recorded.recordings import sessions
from detector.replay import replay
from tests.sources.footage import make_video

BAD = {"mp3": "song.mp3", "text": "text.mp4", "empty": "empty.mp4", "cut": "cut.mkv", "copy": "copy.mkv"}


def make_files(folder: Path, count: int) -> Counter[str]:
    """So many files; how many of each kind."""
    whole = make_video(folder.with_name("whole.mkv"), seconds=1, fps=5, size=(160, 120)).read_bytes()
    made: Counter[str] = Counter()
    begin = int(time.mktime((2026, 11, 1, 0, 0, 0, 0, 0, 0)))
    for n in range(count):
        place = folder / f"disk {n % 7}" / f"第{n // 1000}组"
        place.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(begin + n // 16 * 60))
        kind = list(BAD)[(n // 10 + n) % 5] if n % 10 in (3, 6) else "odd" if n % 10 == 9 else "good"
        made[kind] += 1
        if kind == "good":
            (place / f"cam{n % 16:02}_{stamp}.mkv").write_bytes(whole + n.to_bytes(8))
        elif kind == "odd":
            (place / f"cam{n % 16:02}_ 门口\n({n}) {stamp}.mkv").write_bytes(whole + n.to_bytes(8))
        else:
            content = {"mp3": b"ID3", "text": b"text\n" * n, "empty": b"", "cut": whole[:200] + n.to_bytes(8)}
            copied = whole + (n - n % 10).to_bytes(8)  # the good one that begins these ten
            (place / f"{n}-{BAD[kind]}").write_bytes(content.get(kind, copied))
    return made


def main(count: int, jobs: int) -> int:
    """Measure and print; 1 when anything was passed over in silence."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, "footage")
        made = make_files(folder, count)
        print(f"{count} files: {dict(made)}", flush=True)
        config = EdgeConfig.model_validate(
            {
                "site": "s", "edge": "e",
                "cameras": [{"name": f"cam{n:02}", "source": f"rtsp://h/{n}"} for n in range(16)],
                "analysis": Analysis(fps=1, frame_side=160, zooms=0),
            }
        )  # fmt: skip
        began = time.monotonic()
        found = gather([folder])
        gathered_s = time.monotonic() - began
        cameras = sessions(found.files, config, None)
        sorted_s = time.monotonic() - began - gathered_s
        print(f"found in {gathered_s:.1f} s, of {len(cameras)} cameras in {sorted_s:.1f} s", flush=True)
        began, cpu = time.monotonic(), time.process_time()
        summary = replay([folder], config, Path(home, "out"), jobs=jobs)
        wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    here, child = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"replayed in {wall_s:.0f} s: {cpu_s:.0f} s CPU here, {child.ru_utime + child.ru_stime:.0f} s in processes;")
    print(f"{here.ru_maxrss >> 10} MiB here, {child.ru_maxrss >> 10} MiB in the largest process")
    told = {
        "unreadable": len(summary["unreadable"]), "passed_over": len(summary["passed_over"]),
        "covered": sum(file["seconds"] > 0 for file in summary["recordings"]),
    }  # fmt: skip
    print(told)
    expected = {
        "unreadable": made["text"] + made["empty"] + made["cut"], "passed_over": made["mp3"] + made["copy"],
        "covered": made["good"] + made["odd"],
    }  # fmt: skip
    return 0 if told == expected else 1


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    sys.exit(main(given[0] if given else 10_000, given[1] if len(given) > 1 else 1))
