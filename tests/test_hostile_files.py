"""Files that are not what their names say: none of them makes us read another file, or speak to anybody."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.alerts.clips import cut_recording
from detector.errors import SourceUnavailable
from detector.sources.recording import Recording
from tests.conftest import REPOSITORY

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
    probe = (
        "import json, sys\nfrom detector.hub import transcode\nfor path in sys.argv[1:]:\n"
        "    try: print(json.dumps(transcode.probe(path)))\n"
        "    except Exception as error: print(json.dumps(type(error).__name__))"
    )
    paths = sorted(str(path) for path in tmp_path.glob("* *.mp4"))
    said = subprocess.run([sys.executable, "-c", probe, *paths], capture_output=True, text=True, check=True).stdout
    assert {json.loads(line) for line in said.splitlines()} == {"InvalidDataError"}
    assert len(said.splitlines()) == len(paths) == len(LISTS) * len(heads)
    assert not ear.was_called()
