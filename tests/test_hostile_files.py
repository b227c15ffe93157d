"""Files that are not what their names say: none of them makes us read another file, or speak to anybody."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.alerts.cutting import cut_recording
from detector.errors import SourceUnavailable
from detector.sources.recording import Recording
from tests.conftest import REPOSITORY
from tests.parts_hostile_rtsp import idr, pps, sps

CLIP = REPOSITORY / "tests" / "clips" / "thrown_5_up.mp4"


class Ear:
    """A port that can be called; who called waits there until asked for."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def was_called(self) -> bool:
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear() -> Iterator[Ear]:
    listening = Ear()
    yield listening
    listening.close()


LISTS = {
    "play list of an address": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
    "play list of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{clip}\n#EXT-X-ENDLIST\n",
    "list of addresses": "ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.mp4\n",
    "list of a file": "ffconcat version 1.0\nfile {clip}\n",
    "list of a file beside it": "ffconcat version 1.0\nfile beside.mp4\n",
    "list of a password file": "ffconcat version 1.0\nfile /etc/passwd\n",
    "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "redirection": "[Reference]\nRef1=http://127.0.0.1:{port}/a.asf\n",
    "manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT5S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.fixture(params=LISTS)
def disguised(request: pytest.FixtureRequest, tmp_path: Path, ear: Ear) -> Path:
    """A list of other files that is called a clip."""
    shutil.copy(CLIP, tmp_path / "beside.mp4")
    path = tmp_path / "clip.mp4"
    path.write_text(LISTS[request.param].format(port=ear.port, clip=CLIP))
    return path


def test_the_ear_hears(ear: Ear) -> None:
    with socket.create_connection(("127.0.0.1", ear.port)):
        assert ear.was_called()
    assert not ear.was_called()


def test_a_list_of_files_is_no_recording(disguised: Path, ear: Ear) -> None:
    with pytest.raises(SourceUnavailable, match="not a video file"):
        Recording(disguised, camera="dock", start_at=0.0, fps=5)
    with pytest.raises(SourceUnavailable):
        cut_recording(disguised, 0.0, 1.0, disguised.with_name("cut.mp4"))
    assert not ear.was_called()
    assert not disguised.with_name("cut.mp4").exists()


def test_a_list_of_files_is_no_upload(tmp_path: Path, ear: Ear) -> None:
    shutil.copy(CLIP, tmp_path / "beside.mp4")
    heads = {"": b"", "of a clip": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\n"}
    for name, text in LISTS.items():
        for how, head in heads.items():
            path = tmp_path / f"{name} {how}.mp4"
            path.write_bytes(head + text.format(port=ear.port, clip=CLIP).encode())
    paths = sorted(tmp_path.glob("* *.mp4"))
    said = probed(*paths)
    assert set(map(str, said)) == {"InvalidDataError"}
    assert len(said) == len(paths) == len(LISTS) * len(heads)
    assert not ear.was_called()


def probed(*paths: Path) -> list[Any]:
    """What the hub's program finds in files, or which error it ends with."""
    probe = (
        "import json, sys\nfrom detector.hub.footage import opened\nfor path in sys.argv[1:]:\n"
        "    try: print(json.dumps(opened.probe(path)))\n"
        "    except opened.Refused as refused: print(json.dumps(str(refused)))\n"
        "    except Exception as error: print(json.dumps(type(error).__name__))"
    )
    done = subprocess.run([sys.executable, "-c", probe, *map(str, paths)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_clip_whose_maker_wrote_its_name_in_another_encoding_is_read(tmp_path: Path) -> None:
    content = CLIP.read_bytes()
    assert content.count(b"Lavf") == 1
    path = tmp_path / "clip.mp4"
    path.write_bytes(content.replace(b"Lavf", "海康".encode("gbk")))
    (found,) = probed(path)
    assert found["codec"] == "h264"
    recording = Recording(path, camera="dock", start_at=0.0, fps=5)
    assert next(iter(recording)).size == (found["width"], found["height"])
    recording.close()


@pytest.mark.parametrize("codec", [b"zzzz", b"SVQ3", b"rle "])
def test_a_clip_of_a_codec_that_no_camera_has_is_not_decoded(codec: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CLIP.read_bytes().replace(b"avc1", codec))
    assert probed(path) == ["unreadable"]
    with pytest.raises(SourceUnavailable, match="codec"):
        Recording(path, camera="dock", start_at=0.0, fps=5)


def test_pictures_that_would_fill_the_memory_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "clip.h264"
    path.write_bytes(b"".join(b"\0\0\0\1" + unit for unit in (sps(16_000, 16_000), pps(), idr())) * 3)
    recording = Recording(path, camera="dock", start_at=0.0, fps=5)
    assert list(recording) == []
    assert recording.decode_errors
    recording.close()


def test_no_changed_clip_makes_the_hub_stumble() -> None:
    """A short search; the long one is `python -m tests.bench.fuzz probing`.

    In a process of its own: forks of one as large as this may be by now have no room left within the program's limits.
    """
    command = [sys.executable, "-m", "tests.bench.fuzz", "probing", "--runs", "24", "--seconds", "60"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    assert "plays" in done.stdout and "unreadable" in done.stdout
