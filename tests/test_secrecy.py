"""No secret leaves by any way in which a program says something: log, warning, crash, core dump."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from detector.cli import main
from detector.config import load_hub
from detector.errors import ConfigError, LabelwatchError
from detector.machine.secrecy import guard, know, redacted

SECRET = "hun/t%r2\"'é7Qx"
TOKEN = "lw_" + "aB3-" * 10
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPLANTEDPLANTED\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "written", [SECRET, quote(SECRET), quote(SECRET, safe=""), json.dumps(SECRET), repr(SECRET), f"x{SECRET}y" * 3]
)
def test_a_secret_that_was_read_is_found_however_it_is_written(written: str) -> None:
    assert redacted(written) == written, "before it is known, it is a word like others"
    know(SECRET)
    left = redacted(f"refused: {written}!")
    assert "***" in left
    assert "t%r2" not in left and "t%25r2" not in left and "7Qx" not in left


def test_of_a_secret_that_begins_like_another_nothing_is_left() -> None:
    for secret in ("hunter2", "hunter2 and more", "hunter2 and"):
        know(secret)
    assert redacted("refused: hunter2 and more!") == "refused: ***!"


def test_a_secret_of_three_letters_hides_no_words() -> None:
    know("the")
    assert redacted("then the other") == "then the other"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"token {TOKEN}.", "token ***."),
        (f"key:\n{KEY}\nend", "key:\n***\nend"),
        (KEY[:60], "***"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer ***"),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic ***"),
        ("GET /robot/send?access_token=abc123&x=1", "GET /robot/send?access_token=***&x=1"),
        ("rtsp://10.0.0.9/live?user=admin&pass=abcd1234&ch=1", "rtsp://10.0.0.9/live?user=admin&pass=***&ch=1"),
        ("rtsp://10.0.0.9/user=admin_password=tlJwpbo6", "rtsp://10.0.0.9/user=admin_password=***"),
        ("rtsp://10.0.0.9/11?loginpas=abcd1234;psw=x1", "rtsp://10.0.0.9/11?loginpas=***;psw=***"),
        ("bypass=1", "bypass=1"),
        ("https://qyapi/cgi-bin/webhook/send?key=693a91f6-7xxx", "https://qyapi/cgi-bin/webhook/send?key=***"),
    ],
)
def test_what_looks_like_a_secret_is_one(text: str, clean: str) -> None:
    assert redacted(text) == clean


@pytest.mark.parametrize(
    "text", ["Basic settings of the bearer", "labels lw_1", "?camera=key&kind=token", "BEGIN CERTIFICATE", "a=b&c=d"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert redacted(text) == text


# Each way out is a line of Python, run in a process that logs as the command line does; the last one is its end. `leak`
# raises the error of a library that shows the password; `url` has it too.
WAYS = {
    "root": "logging.error('lost %s', url)",
    "arguments": "logging.getLogger('x').error('lost %r %s', {'a': [url]}, secret)",
    "exception": "try: leak()\nexcept ValueError: logging.exception('lost')",
    "chain": "try:\n try: leak()\n finally: raise KeyError(url)\nexcept KeyError: logging.exception('lost')",
    "notes": "try: leak()\nexcept ValueError as e: e.add_note(url); logging.exception('lost')",
    "group": "try: leak()\nexcept ValueError as e: logging.error('x', exc_info=ExceptionGroup(secret, [e]))",
    "stack": "line = \"logging.error('here', stack_info=True)\"\n"
    "linecache.cache['x'] = 0, None, [line + '#' + url], 'x'; exec(compile(line, 'x', 'exec'))",
    "misfit": "logging.error('two %s %s', url)",
    "last resort": "lib = logging.getLogger('lone'); lib.parent = None; lib.error('lost %s', url)",
    "later handler": "h = logging.StreamHandler(); h.setFormatter(Everything()); logging.getLogger().addHandler(h)\n"
    "try: leak()\nexcept ValueError: logging.getLogger('lib').exception('lost %s', url)",
    "own handler": "lib = logging.getLogger('lib'); lib.propagate = False\n"
    "lib.addHandler(logging.StreamHandler(sys.stdout)); lib.warning('lost %s', url)",
    "queue": "q = queue.Queue(); lib = logging.getLogger('lib'); lib.addHandler(handlers.QueueHandler(q))\n"
    "lib.error('lost %s', url); print(vars(q.get()))",
    "warning": "warnings.warn('lost ' + url)",
    "thread": "t = threading.Thread(target=leak); t.start(); t.join()",
    "finaliser": "class Bad:\n def __del__(self): leak()\nBad()",
    "asyncio": "async def main():\n asyncio.get_running_loop().call_soon(leak); await asyncio.sleep(0)\n"
    "asyncio.run(main())",
    "forgotten task": "async def main():\n t = asyncio.create_task(asyncio.to_thread(leak)); await asyncio.sleep(.1)\n"
    " del t; gc.collect()\nasyncio.run(main())",
    "web server": "import uvicorn; uvicorn.Config(None, log_config=None)\n"
    "logging.getLogger('uvicorn.error').error(url)",
    "our error": "print(repr(errors.LabelwatchError(url + secret)))",
    "faulthandler": "faulthandler.dump_traceback()",
    "crash": "leak()",
}
START = f"""
import asyncio, faulthandler, gc, json, linecache, logging, queue, sys, threading, warnings
from logging import handlers
from detector import errors
from detector.cli import set_up_logging
from detector.machine.secrecy import know
set_up_logging(verbose=True)
secret = know({SECRET!r})
url = 'rtsp://guard:' + secret + '@10.0.0.2/cam'
def leak(): raise ValueError("can't open " + url)
class Everything(logging.Formatter):
    def format(self, record):
        trace = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        return json.dumps([vars(record), trace], default=str)
"""


def said_by(ways: dict[str, str], start: str = START) -> dict[str, str]:
    """What a process says on stdout and stderr, by the way it takes."""
    program = start + "".join(f"\nprint('=== {name}', flush=True)\n{way}\n" for name, way in ways.items())
    run = subprocess.run(
        [sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return dict(part.split("\n", 1) for part in run.stdout.split("=== ")[1:])


def test_every_way_out_is_watched() -> None:
    told = said_by(WAYS)
    assert told.keys() == WAYS.keys()
    for name, said in told.items():
        assert said.strip(), name
        for part in ("hun/t", "t%r2", "7Qx"):
            assert part not in said, (name, said)
    for name in ("root", "later handler", "queue", "thread", "asyncio", "crash"):
        assert "***" in told[name], name
    assert "in leak" in told["crash"], "a traceback tells where"
    assert "two %s %s" in told["misfit"], "what doesn't fit its arguments is told all the same"


def test_an_unwatched_process_does_leak_so_that_the_test_can_fail() -> None:
    unguarded = START.replace("set_up_logging(verbose=True)", "").replace("know(", "(")
    ways = {name: WAYS[name] for name in ("root", "chain", "stack", "own handler", "thread", "crash")}
    assert all("t%r2" in said for said in said_by(ways, unguarded).values())


def test_a_name_in_a_message_makes_up_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    guard()
    forged = "x\n2026-11-01T00:00:00Z INFO detector.hub: login of owner\x1b[2J\r\u202e"
    try:
        raise ValueError(forged)
    except ValueError:
        logging.getLogger("detector.test").exception("odd name %s", forged)
    message, *trace = caplog.text.splitlines()
    assert "\\n2026-11-01T00:00:00Z INFO" in message
    assert all(line.startswith("  ") for line in trace)
    assert not {"\x1b", "\r", "\u202e"} & set(caplog.text)


def test_no_core_is_dumped() -> None:
    """Begun by somebody who allows it."""
    limit = "resource.getrlimit(resource.RLIMIT_CORE)"
    allowed = f"import resource\nresource.setrlimit(resource.RLIMIT_CORE, ({limit}[1],) * 2)\n"
    assert said_by({"core": f"print({limit}[0])"}, allowed + START) == {"core": "0\n"}


def test_an_error_of_ours_is_safe_to_show() -> None:
    know(SECRET)
    assert SECRET not in repr(LabelwatchError(f"no entry with {SECRET}"))


def hub_with(folder: Path, **keys: str) -> Path:
    path = folder / "hub.yaml"
    path.write_text(json.dumps(keys))
    return path


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql+psycopg://hub:pw7Qx@db/hub", "pw7Qx"),
        ("postgresql://db/hub?password=pw7Qx", "pw7Qx"),
        ("postgresql+psycopg://hub:pw7Qx/w@db/hub", "pw7Qx/w"),
        ("postgresql+psycopg://hub:w#pw7Qx@db/hub", "w#pw7Qx"),
    ],
)
def test_a_database_password_in_the_configuration_is_refused_and_one_elsewhere_taken(
    url: str, password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="database: a password stands in the URL") as caught:
        load_hub(hub_with(tmp_path, database=url))
    assert "pw7Qx" not in str(caught.value) and "database_file" in str(caught.value)
    (tmp_path / "address").write_text(url + "\n")
    monkeypatch.setenv("HUB_DATABASE", url)
    for keys in ({"database_file": "address"}, {"database_env": "HUB_DATABASE"}):
        config = load_hub(hub_with(tmp_path, **keys))
        assert config.database_url() == url
        assert "pw7Qx" not in repr(config)
    assert redacted(f"password {password} refused") == "password *** refused"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://hub@db:5432/hub",
        "postgresql+psycopg://db:5432/hub?user=a@b",
        "postgresql+psycopg://hub@/hub?host=/run/postgresql",
        "postgresql+psycopg://[fd00::2]:5432/hub",
        "sqlite:////srv/hub.sqlite",
    ],
)
def test_a_database_address_without_a_password_stands_in_the_configuration(url: str, tmp_path: Path) -> None:
    assert load_hub(hub_with(tmp_path, database=url)).database_url() == url


@pytest.mark.parametrize("password", ["pw@7Qx", "a/b@7Qx#1", "@7Qx"])
def test_a_database_password_with_an_at_is_refused_before_a_part_of_it_is_taken_for_the_host(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE", f"postgresql+psycopg://hub:{password}@db/hub")
    with pytest.raises(ConfigError, match="HUB_DATABASE: holds an @ too many") as caught:
        load_hub(hub_with(tmp_path, database_env="HUB_DATABASE")).database_url()
    assert "%40" in str(caught.value) and "7Qx" not in str(caught.value)


@pytest.mark.parametrize("url", ["hub.sqlite", "postgresql+psycopg://hub:pw7Qx@db:port/hub", "postgresql:/db/hub"])
def test_what_is_no_address_of_a_database_is_told_in_words(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE", url)
    with pytest.raises(ConfigError, match="HUB_DATABASE: holds no address of a database") as caught:
        load_hub(hub_with(tmp_path, database_env="HUB_DATABASE")).database_url()
    assert "7Qx" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"database: is no address of a database .*hub\.yaml"):
        load_hub(hub_with(tmp_path, database=url.replace(":pw7Qx", "")))


@pytest.mark.parametrize(
    "line", ["broker: *pw7Qx", "broker: !pw7Qx x", "a: &pw7Qx 1\nb: &pw7Qx 2", "password: pw7Qx", "x: 'pw7Qx"]
)
def test_a_password_that_yaml_takes_for_something_else_is_not_shown(line: str, tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(line)
    with pytest.raises(ConfigError) as caught:
        load_hub(path)
    assert "pw7Qx" not in str(caught.value)


def test_a_code_need_not_stand_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text(json.dumps({"site": "s", "edge": "e", "cameras": [{"name": "c", "source": "rtsp://10.0.0.1/x"}]}))
    monkeypatch.setattr("builtins.input", lambda _prompt: "no-code-7Qx")
    assert main(["join", "http://127.0.0.1:9", "--config", str(config)]) == 2
    told = capsys.readouterr()
    assert "code" in told.err and "7Qx" not in told.err + told.out
