"""The edge's key: made once, private, never replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from detector.alerts.identity import load_identity
from detector.alerts.trust import pin_hub_key
from detector.errors import StoreError
from detector.wire import public_key_text

KEY = Ed25519PrivateKey.generate()


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load_identity(tmp_path / "new" / "folder")
    again = load_identity(tmp_path / "new" / "folder")
    assert public_key_text(first) == public_key_text(again)


def test_nobody_else_may_read_it_and_no_draft_is_left(tmp_path: Path) -> None:
    load_identity(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["identity.key"]
    assert stat.S_IMODE((tmp_path / "identity.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("first", [load_identity, lambda folder: pin_hub_key(folder, public_key_text(KEY))])
def test_the_folder_that_a_box_keeps_footage_in_is_made_for_its_owner_alone(
    first: Callable[[Path], object], tmp_path: Path
) -> None:
    first(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_key_that_others_could_read_is_closed_to_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_identity(tmp_path)
    (tmp_path / "identity.key").chmod(0o644)
    load_identity(tmp_path)
    assert stat.S_IMODE((tmp_path / "identity.key").stat().st_mode) == 0o600
    assert "could be read by others" in caplog.text


def test_many_starting_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: public_key_text(load_identity(tmp_path)), range(16)))
    assert len(set(keys)) == 1


@pytest.mark.parametrize("text", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_spoilt_key_is_an_error_and_stays(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "identity.key").write_bytes(text)
    with pytest.raises(StoreError, match=r"identity\.key holds no key"):
        load_identity(tmp_path)
    assert (tmp_path / "identity.key").read_bytes() == text


def test_a_key_of_another_kind_is_named(tmp_path: Path) -> None:
    other = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "identity.key").write_bytes(other)
    with pytest.raises(StoreError, match="another kind"):
        load_identity(tmp_path)


def test_what_cannot_be_read_is_an_error_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "identity.key").mkdir()
    with pytest.raises(StoreError, match=r"identity\.key can't be read"):
        load_identity(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_of_another_user_is_an_error(tmp_path: Path) -> None:
    load_identity(tmp_path)
    (tmp_path / "identity.key").chmod(0)
    with pytest.raises(StoreError, match="can't be read"):
        load_identity(tmp_path)
