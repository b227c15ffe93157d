"""No password leaves in the text of an error."""

from __future__ import annotations

import pytest

from detector import errors
from detector.errors import ConfigError, LabelwatchError, Problem
from detector.machine.secrecy import redacted

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://admin:hunter2@10.0.0.2/1", "rtsp://***@10.0.0.2/1"),
        ("rtsp://admin:hunter2@10.0.0.2", "rtsp://***@10.0.0.2"),
        ("RTSP://admin:hunter2@cam/1", "RTSP://***@cam/1"),
        ("rtsp://hunter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:p@hunter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:hun/hunter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:hun?hunter2@cam:554/1", "rtsp://***@cam:554/1"),
        ("rtsp://admin:it'shunter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp:/admin:hunter2@cam/1", "rtsp:/***@cam/1"),
        ("1rtsp://admin:hunter2@cam/1", "1rtsp://***@cam/1"),
        ("x" * 300_000 + "://admin:hunter2@cam/1", "x" * 300_000 + "://***@cam/1"),
        ("postgresql+psycopg://user:hunter2@db/hub", "postgresql+psycopg://***@db/hub"),
        (
            "[Errno 5] can't open 'rtsp://a:hunter2@cam/1': timed out",
            "[Errno 5] can't open 'rtsp://***@cam/1': timed out",
        ),
        ("rtsp://a:hunter2@one/1 and rtsp://b:hunter2@two/2", "rtsp://***@one/1 and rtsp://***@two/2"),
    ],
)
def test_a_login_in_an_address_is_cut_out(text: str, clean: str) -> None:
    assert redacted(text) == clean
    assert SECRET not in str(LabelwatchError(text))


@pytest.mark.parametrize(
    "text",
    ["rtsp://10.0.0.2:554/stream@2", "http://hub:8080/?mail=a@b.c", "rtsp://cam/1", "guard@example.org", "", "a: b@c"],
)
def test_text_without_a_login_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_a_problem_says_file_key_reason_and_hint() -> None:
    assert str(Problem("a.yaml", "cameras[0].name", "is empty", "give one")) == (
        "a.yaml: cameras[0].name: is empty (give one)"
    )
    assert str(Problem("a.yaml", "", "is empty")) == "a.yaml: is empty"


def test_a_configuration_error_lists_every_problem() -> None:
    problems = [Problem("a.yaml", "site", "missing"), Problem("a.yaml", "edge", "missing")]
    error = ConfigError(problems)
    assert error.problems == problems
    assert str(error).splitlines() == [str(problem) for problem in problems]


def test_every_error_is_in_the_tree_that_the_module_draws() -> None:
    found = {e.__name__ for e in vars(errors).values() if isinstance(e, type) and issubclass(e, LabelwatchError)}
    assert found == {word for word in (errors.__doc__ or "").split() if word in found}
