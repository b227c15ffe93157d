"""The page that shows a code, in a real browser: it notices by itself what becomes of boxes, and works on a phone."""

from __future__ import annotations

import time

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.credentials.codes import fingerprint, join_request, parse_code
from tests.hub.test_browser import PHONE, Scene, browser, scene, until  # noqa: F401  (fixtures)


def test_a_page_that_shows_a_code_notices_the_box_and_its_new_key(scene: Scene) -> None:  # noqa: F811
    page = scene.page("edges", viewport=PHONE)
    page.click("#add summary")
    page.fill("#add [name=site]", "suzhou")
    page.fill("#add [name=edge]", "box2")
    page.click("#add button.main")
    code = page.inner_text(".secret.code")
    assert page.inner_text(".command") == f"labelwatch join {scene.hub.url.rstrip('/')} {code} --config site.yaml"
    lines = [round(word.bounding_box()["height"]) for word in page.locator(".command span").all()]
    assert len(set(lines)) == 1, "a code that ends one line and begins the next is typed wrong"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    asked = join_request(parse_code(code), site="suzhou", edge="box2", key=old, at=time.time(), version="1", csr=None)
    assert httpx.post(f"{scene.hub.url}enrol", content=wire.encode(asked), trust_env=False).status_code == 200
    page.wait_for_selector(".code-state.used")
    assert fingerprint(wire.public_key_text(old)) in page.inner_text(".code-state")
    page.click(".code-state a")

    box = page.locator(".boxes > li", has_text="suzhou / box2")
    box.locator("summary", has_text="密钥").click()
    box.locator("button.main").click()
    page.wait_for_selector(".turning")
    other = page.locator(".boxes > li", has_text="shanghai / box1")
    other.locator("summary.stop").click()
    rotations, keys = scene.hub._parts.rotations, scene.hub._parts.keys
    topics = wire.Topics("suzhou", "box2")
    turning = rotations.all()["suzhou", "box2"]
    assert rotations.word(topics.key, wire.new_key_payload(topics, turning.id, old, new), time.time())
    fields = wire.signed({"site": "suzhou", "edge": "box2"}, new)
    keys.believe(fields, signed_at=time.time(), at=time.time())
    page.wait_for_selector(".turning", state="detached")
    until(page, f"document.querySelector('.boxes').innerText.includes('{fingerprint(wire.public_key_text(new))}')")
    assert other.locator("details[open]").count() == 1  # what somebody is about to do isn't taken from them
