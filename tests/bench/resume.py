"""A replay killed with -9 again and again at random moments finds what one that was left alone finds.

    python -m tests.bench.resume [MINUTES [SEED]]

Each round replays a folder of three cameras from nothing, in two processes or one, and kills the driver, one that
looks or one that judges, up to six times; then it is left to end. Prints a line a round; the exit status is 1 when a
result differed, or finished work was done again.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.parts_resume import begin, evidence, finished_work, kill_somewhere, make_footage, write_config

CAMERAS, FILES, KILLS = ("gate", "dock", "ramp"), 4, 6


def main(minutes: float, seed: int) -> int:
    """Go on for so long; 1 when anything was wrong."""
    home = Path(tempfile.mkdtemp(prefix="resume-"))
    footage, config = make_footage(home / "footage", CAMERAS, FILES), write_config(home)
    begin(footage, config, home / "whole", "--keep-looks").communicate()
    expected, pieces = evidence(home / "whole"), len(finished_work(home / "whole"))
    print(f"{pieces} pieces of work, {len(expected)} files of results; in {home}", flush=True)
    dice, ends_at, rounds, wrong = random.Random(seed), time.monotonic() + 60 * minutes, 0, 0
    while time.monotonic() < ends_at:
        rounds += 1
        out, jobs = home / f"{rounds}", dice.choice(["1", "2", "3"])
        options = ("--jobs", jobs, "--resume", "--keep-looks")
        story, again = [], False
        for _ in range(dice.randint(1, KILLS)):
            before = finished_work(out)
            running = begin(footage, config, out, *options)
            story.append(kill_somewhere(running, out, pieces, dice))
            running.communicate()
            again = again or not before.items() <= finished_work(out).items()
        before = finished_work(out)
        running = begin(footage, config, out, *options)
        said = running.communicate()[1].decode()
        again = again or not before.items() <= finished_work(out).items()
        fine = running.returncode == 0 and evidence(out) == expected and not again
        wrong += not fine
        print(f"{'same' if fine else 'WRONG'}, {jobs} jobs: {'; '.join(story)}", flush=True)
        if fine:
            shutil.rmtree(out)
        else:
            print(f"exit {running.returncode}, done again: {again}, in {out}\n{said}", flush=True)
    print(f"{rounds} rounds, {wrong} wrong")
    if not wrong:
        shutil.rmtree(home)
    return 1 if wrong else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(float(given[0]) if given else 10.0, int(given[1]) if len(given) > 1 else 1))
