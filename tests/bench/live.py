"""How long after a photo act its alert stands on an open page; run by hand: `python -m tests.bench.live [TIMES]`.

Each time the whole demo is started anew (broker, hub, edge on the shipped clip as if it were a camera) with a real
Chromium on the feed. Printed is the time from the photo act that made it an alert (its last moment in the envelope that
says so), by the clock that stamps the frames, until the card is in the page, without a reload; then the median.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from detector.hub.storage.store import Store

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Notes when each card came; runs before the page's own scripts, and is not subject to its content security policy.
WATCH = """
window.cardsAt = {};
new MutationObserver(() => {
  for (const card of document.querySelectorAll(".card"))
    window.cardsAt[card.dataset.incident] ??= Date.now() / 1000;
}).observe(document, { childList: true, subtree: true });
"""


def once(browser: Any, folder: Path) -> tuple[float, float]:
    """Seconds from act to card, and from the edge's envelope to the card."""
    data = folder / "demo"
    command = [sys.executable, "-m", "detector", "demo", "--data", str(data)]
    log = (folder / "log").open("w+")
    demo = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, env=None)
    try:
        page = browser.new_page()
        page.add_init_script(WATCH)
        url, password = address(demo, folder / "log")
        page.goto(url)
        page.fill("[name=user]", "owner")
        page.fill("[name=password]", password)
        page.click("button.main")
        page.wait_for_selector(".card", timeout=120_000)
        cards: dict[str, float] = page.evaluate("window.cardsAt")
        page.close()
        incident, at = min(cards.items(), key=lambda card: card[1])
        store = Store(f"sqlite:///{data / 'hub/hub.sqlite'}")
        # The first of them was a note, of one photo or of a sweep that wasn't sure yet; notes are in the digest.
        first = next(one for one in store.envelopes(incident) if one["after"]["severity"] != "info")
        store.close()
        acts = [act["ended_at_unix"] for act in first["after"]["acts"] if act["kind"] == "photo"]
        return at - max(acts), at - first["sent_at_unix"]
    finally:
        demo.terminate()
        demo.wait(30)
        log.close()


def address(demo: subprocess.Popen[str], log: Path) -> tuple[str, str]:
    """The page and the password that the demo tells."""
    while demo.poll() is None:
        said = log.read_text()
        page = re.search(r"http://[\d.:]+/", said)
        password = re.search(r"password:? (\S+)", said)
        if page and password:
            return page[0], password[1]
    raise SystemExit(log.read_text())


def main() -> None:
    """Measure some times and print."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    program = next(filter(None, map(shutil.which, BROWSERS)))
    from_act = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(times):
            with tempfile.TemporaryDirectory() as folder:
                act, sent = once(browser, Path(folder))
            from_act.append(act)
            print(f"{act:.2f} s after the act, {sent:.2f} s after the edge sent it", flush=True)
        browser.close()
    print(f"median {statistics.median(from_act):.2f} s")


if __name__ == "__main__":
    main()
