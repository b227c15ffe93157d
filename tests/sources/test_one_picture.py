"""The doctor takes its picture from a camera that is on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from detector.config import load_edge
from detector.errors import SourceUnavailable
from detector.tools.doctor import one_picture

SECRET = "correct horse"


def test_a_camera_gives_its_first_picture(rtsp_server: Callable[..., object]) -> None:
    picture = one_picture(rtsp_server().url)  # type: ignore[attr-defined]
    assert min(picture.size) > 16
    assert picture.bgr().shape == (*picture.size[::-1], 3)


def test_a_camera_of_a_configuration_is_asked_with_its_password(
    rtsp_server: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = rtsp_server(("guard", SECRET))
    config = tmp_path / "edge.yaml"
    config.write_text(
        "site: s\nedge: e\ncameras:\n"
        f"- {{name: bulk, source: '{server.url}', username: guard, password_env: CAMERA_PASSWORD}}\n"  # type: ignore[attr-defined]
    )
    monkeypatch.setenv("CAMERA_PASSWORD", SECRET)
    assert min(one_picture(load_edge(config).cameras[0]).size) > 16


def test_a_camera_that_refuses_says_so_without_the_password(
    rtsp_server: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.tools.doctor.FIRST_PICTURE_S", 3.0)
    with pytest.raises(SourceUnavailable) as trouble:
        one_picture(rtsp_server(("guard", SECRET)).url)  # type: ignore[attr-defined]
    assert "127.0.0.1" in str(trouble.value)
    assert SECRET not in str(trouble.value)
