"""A program of its own that reads one clip, which may be hostile, and writes a copy of it that browsers play.

    python -m detector.hub.footage.transcode probe CLIP    prints {"codec": "hevc", "width": 1920, …, "plays": false}
    python -m detector.hub.footage.transcode make JOB      JOB is `copying.Job` as JSON; prints {"share": 0.4} as it
                                                           goes, and {"remarks": ["no_side"]} when the copy is whole

What can't be done ends with status 1 and {"reason": "unreadable" | "too_large" | "no_room"}.

The hub starts it (`derived`), never imports it: FFmpeg's decoders meet the clip here, with bounds on memory, processor
time and file size, at the lowest priority, and in one thread. When the hub goes, so does this: it holds our input open.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import threading
from typing import Any

import av

from detector.hub.footage.opened import Refused, probe

MEMORY_BYTES = 3 * 2**30
PROBE_CPU_S = 20
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def main(arguments: list[str]) -> int:
    """Do one thing and say how it went; an exit status."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        if arguments[0] == "probe":
            _limit(PROBE_CPU_S, 0)
            _say(probe(arguments[1]))
        else:
            import cv2  # which takes longer to load than most clips to be probed

            from detector.hub.footage import copying

            cv2.setNumThreads(1)
            job = copying.Job(**json.loads(arguments[1]))
            _limit(job.cpu_s, job.largest_bytes)
            _say({"remarks": copying.make(job, lambda share: _say({"share": share}))})
    except Refused as refused:
        _say({"reason": str(refused)})
        return 1
    except MemoryError:
        _say({"reason": "too_large"})
        return 1
    except (OSError, av.FFmpegError) as error:
        _say({"reason": "no_room" if error.errno in NO_ROOM else "unreadable", "text": ascii(error.strerror)[:200]})
        return 1
    return 0


def _limit(cpu_s: int, largest_bytes: int) -> None:
    os.nice(19)
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, largest_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the other end is closed; sys.stdin would hold a lock that the interpreter's end needs
    os._exit(3)


def _say(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
