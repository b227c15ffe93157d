"""Twenty guards and three edges at one hub; run by hand: `python -m tests.bench.guards [GUARDS [SECONDS [INCIDENTS]]]`.

The hub is a process of its own with a database of INCIDENTS (10,000 when left out) and a real mosquitto; each edge has
an outbox and sends an alert every two seconds. Each guard has an open desk: every few seconds (as many as people take
to judge a clip, 2 to 6) it asks for the next item, judges it, and now and then looks at another page. At whatever its
stream tells of, it asks for the queue and the item anew, with the pauses that `review.js` makes; one guard in five has
an open feed besides, which does likewise. Printed are times from request to last byte, the share of one core that the
hub took from its start to its end, and whether every alert arrived.
"""

from __future__ import annotations

import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from argon2 import PasswordHasher

from detector import wire
from detector.alerts.identity import load_identity
from detector.alerts.mqtt import MqttLink
from detector.alerts.outbox import Outbox
from detector.clock import SystemClock
from detector.config import Broker
from detector.hub.access.people import People
from detector.hub.storage.rights import CONSOLE, EVERYWHERE, Role
from detector.hub.storage.store import Store
from tests.bench.feed import BATCH, alert
from tests.hub.conftest import make_envelope
from tests.parts_mosquitto import Mosquitto

EDGES = 3
ALERT_EVERY_S = 2.0
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "correct horse battery"
HIDDEN = re.compile(r'<input type="hidden" name="(before|seen|until|to|shown)" value="([^"]*)"')


class Times:
    """Milliseconds by page."""

    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def of(self, page: str) -> Iterator[None]:
        """Take the time of one request."""
        began = time.perf_counter()
        yield
        with self._lock:
            self._spent[page].append((time.perf_counter() - began) * 1000)

    def print(self) -> None:
        """Median, 95 % and worst of each page, and of all."""
        everything = [spent for page in self._spent.values() for spent in page]
        for page, spent in [*sorted(self._spent.items()), ("all", everything)]:
            p95 = statistics.quantiles(spent, n=20)[-1] if len(spent) > 1 else spent[0]
            print(
                f"{page:14} {len(spent):5} requests: median {statistics.median(spent):6.1f} ms, "
                f"95 % {p95:6.1f} ms, worst {max(spent):6.1f} ms"
            )


def guard(url: str, number: int, times: Times, stop: threading.Event) -> None:
    """One guard's shift."""
    rng = random.Random(number)
    with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as client:
        # All from one address: ten may try at once, and one more every six seconds.
        fields = {"user": f"guard{number}", "password": PASSWORD}
        while (login := client.post("/login", data=fields)).status_code == 429:
            time.sleep(1 + rng.random())
        assert login.status_code == 303, login.status_code
        seen: list[str] = []
        shown: list[str] = []

        def queue(page: httpx.Client) -> None:
            with times.of("queue, told"):
                assert page.get("/review/queue").status_code == 200

        def item(page: httpx.Client) -> None:
            if shown:
                with times.of("item, told"):
                    assert page.get(f"/incidents/{shown[-1]}/item").status_code in (200, 404)

        known: dict[str, str] = {}  # what the open feed says of itself: which cards it has, and up to which change

        def feed(page: httpx.Client) -> None:
            with times.of("feed, told"):
                answer = page.get("/feed/live", params=known)
            assert answer.status_code == 200, answer.status_code
            known.update(HIDDEN.findall(answer.text))

        deeds: list[tuple[Callable[[httpx.Client], None], float, float]] = [(queue, 0.15, 4), (item, 5, 0)]
        open_page(url, dict(client.cookies), f"/review/events?desk=guard-{number:03}&after=0", deeds, stop)
        if number % 5 == 0:
            known.update(HIDDEN.findall(client.get("/").text))
            open_page(url, dict(client.cookies), f"/events?after={known['seen']}", [(feed, 0.15, 0)], stop)
        while not stop.wait(rng.uniform(2, 6)):
            if not seen:
                with times.of("review desk"):
                    page = client.get("/review")
                assert page.status_code == 200, page.status_code
                seen = [part.partition('"')[0] for part in page.text.split('data-incident="')[1:]]
                rng.shuffle(seen)
                if not seen:
                    continue
            incident = seen.pop()
            shown.append(incident)
            with times.of("look"):
                client.post("/review/look", data={"desk": f"guard-{number:03}", "incident": incident})
            with times.of("item"):
                assert client.get(f"/incidents/{incident}/item").status_code in (200, 404)
            with times.of("verdict"):
                answer = client.post(
                    f"/incidents/{incident}/verdict",
                    data={"verdict": rng.choice(("true", "false")), "over": "0"},
                    headers={"HX-Request": "true"},
                )
            assert answer.status_code < 500, answer.text
            other = rng.choice(("/", "/review/queue", "/cameras", "/health", "", ""))
            if other:
                with times.of({"/": "feed", "/review/queue": "queue"}.get(other, other[1:])):
                    assert client.get(other).status_code == 200, other


def open_page(
    url: str,
    cookies: dict[str, str],
    stream: str,
    deeds: list[tuple[Callable[[httpx.Client], None], float, float]],
    stop: threading.Event,
) -> None:
    """An open page's stream, and what it asks for at changes: each the least pause before, and that by what it took."""
    told = [threading.Event() for _ in deeds]

    def listen() -> None:
        with (
            httpx.Client(base_url=url, cookies=cookies, timeout=None) as client,
            client.stream("GET", stream) as lines,
        ):
            for line in lines.iter_lines():
                if stop.is_set():
                    return
                if line in ("event: incident", "event: reload"):
                    for one in told:
                        one.set()

    def ask(deed: Callable[[httpx.Client], None], pause_s: float, rest: float, told: threading.Event) -> None:
        took = 0.0
        with httpx.Client(base_url=url, cookies=cookies, timeout=60) as client:
            while not stop.is_set():
                if not told.wait(1):
                    continue
                stop.wait(max(pause_s, rest * took))
                told.clear()
                began = time.perf_counter()
                deed(client)
                took = time.perf_counter() - began

    threading.Thread(target=listen, daemon=True).start()
    for deed, one in zip(deeds, told, strict=True):
        threading.Thread(target=ask, args=(*deed, one), daemon=True).start()


def edge(folder: Path, port: int, name: str, stop: threading.Event) -> int:
    """One edge box; how many alerts it sent, all of which the hub has stored."""
    key, clock = load_identity(folder), SystemClock()
    outbox = Outbox(folder / "outbox.db", key, clock=clock)
    link = MqttLink(outbox, wire.Topics("shanghai", name), Broker(port=port), clock, key)
    link.start()
    sent = 0
    while not stop.wait(ALERT_EVERY_S):
        sent += 1
        fields = make_envelope(
            sent,
            incident=f"{name}-{sent}",
            edge=name,
            started_at_unix=time.time() - 5,
            snapshot=b"\xff\xd8\xff" + bytes(20_000),
        )
        outbox.put(
            {
                k: fields[k]
                for k in ("site", "edge", "camera", "phase", "before", "after", "snapshot", "clips", "schema")
            }
        )
    assert outbox.wait_drained(60), "alerts are left in the outbox"
    link.stop(5)
    outbox.close()
    return sent


def main() -> None:
    """Fill, start, let them work, print."""
    guards, seconds, incidents = ([int(word) for word in sys.argv[1:]] + [20, 60, 10_000][len(sys.argv) - 1 :])[:3]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.kill)
        (folder / "data").mkdir()
        store = Store(f"sqlite:///{folder / 'data/hub.sqlite'}")
        people = People(store.database)
        for number in range(guards):
            people.add(
                CONSOLE, f"guard{number}", CHEAP.hash(PASSWORD), time.time(), role=Role.REVIEWER, scope=EVERYWHERE
            )
        for first in range(1, incidents + 1, BATCH):
            numbers = range(first, min(first + BATCH, incidents + 1))
            store.add_alerts([alert(n, incidents) for n in numbers], time.time())
        store.close()
        (folder / "hub.yaml").write_text(
            f"data_dir: data\nbroker: {{port: {broker.port}}}\n"
            "retention: {reserve_gb: 0}\nalerts_per_shift: 1000000\nenrolment: first_sight\n"
        )
        command = [sys.executable, "-m", "detector", "hub", str(folder / "hub.yaml"), "--port", "0"]
        began = time.monotonic()
        hub = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True)
        stack.callback(hub.kill)
        assert hub.stdout
        url = hub.stdout.readline().split()[-1]
        stop, times, sent = threading.Event(), Times(), [0] * EDGES

        def run_edge(n: int) -> None:
            (folder / f"edge{n}").mkdir()
            sent[n] = edge(folder / f"edge{n}", broker.port, f"edge{n}", stop)

        threads = [threading.Thread(target=guard, args=(url, n, times, stop)) for n in range(guards)]
        threads += [threading.Thread(target=run_edge, args=(n,)) for n in range(EDGES)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        ran_s = time.monotonic() - began
        before = resource.getrusage(resource.RUSAGE_CHILDREN)  # others that have ended
        hub.terminate()
        hub.wait(20)
        print(f"{guards} guards, {EDGES} edges, {incidents} incidents before, {seconds} s")
        times.print()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        share = (used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime) / ran_s
        print(f"the hub took {share:.0%} of a core")
        store = Store(f"sqlite:///{folder / 'data/hub.sqlite'}")
        missing = sum(one.missing for one in store.edges.all())
        arrived = sum(store.incident(f"edge{n}-{k + 1}") is not None for n in range(EDGES) for k in range(sent[n]))
        store.close()
        print(f"{sum(sent)} alerts sent, {arrived} stored, {missing} missing")
        errors = [
            line for line in (folder / "log").read_text().splitlines() if " ERROR " in line or "Traceback" in line
        ]
        print(f"{len(errors)} errors in the hub's log", *errors[:5], sep="\n")


if __name__ == "__main__":
    main()
