"""Every problem of a configuration, those too that only the machine can tell: missing files, missing secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from detector.config.connections import Broker
from detector.config.edge import EdgeConfig
from detector.config.hub import HubConfig
from detector.config.reading import load_either
from detector.errors import ConfigError, MissingPart, Problem
from detector.machine.resources import resource

_ADDRESS = re.compile(r"/(?:rtsps?:|\d+(?:\.\d+){3}(?=[:/]|$)|[\w.-]+:\d+(?=/|$))", re.IGNORECASE)  # without a scheme
_WINDOWS = re.compile(r"(?:^|/)[A-Za-z]:(?:[\\/]|$)|\\")  # D:\cctv, D:/cctv, \\nas\cctv
AS_THAT_USER = "whoever runs this needs the right to; to check as that user: sudo -u USER labelwatch …"
Named = tuple[str, str | None, Path | None]  # a secret's key, and where it is to be found


def check_file(path: Path) -> list[Problem]:
    """Every problem of a configuration file, edge or hub."""
    try:
        config = load_either(path)
        told = check_data_dir(config.data_dir, path)
        if isinstance(config, EdgeConfig):
            told = check_edge(config, path) + told
            return told + _for_people(path, list(_secrets_of_edge(config)), _files_of_edge(config))
        told = check_hub(config, path) + told
        told += _for_people(path, list(_secrets_of_hub(config)), _files_of_hub(config))
        return told if any(problem.key.startswith("database") for problem in told) else told + _database(config, path)
    except ConfigError as error:
        return error.problems


def check_edge(config: EdgeConfig, path: Path) -> list[Problem]:
    """Problems that only the machine can tell: missing files and secrets.

    Args:
        config: An edge configuration that was read without error.
        path: Its file, for the messages.
    """
    problems = []
    model = config.analysis.model
    if config.analysis.model_is_file and not _is_file(Path(model)):
        problems.append(Problem(str(path), "analysis.model", f"no such file: {model}", "check the path"))
    if not config.analysis.model_is_file and not _is_known(model):
        hint = "`labelwatch model add` makes one; or name the path of a card"
        problems.append(Problem(str(path), "analysis.model", f"no model {model} in models/", hint))
    for n, camera in enumerate(config.cameras):
        if not camera.live and not Path(camera.source).exists():
            hint = "the address of a stream begins with rtsp://" if _ADDRESS.search(camera.source) else "check the path"
            reason = f"no such file or folder: {camera.source}"
            problems.append(Problem(str(path), f"cameras[{n}].source", reason, hint))
        problems += _secret_problems(path, f"cameras[{n}]", camera.password_env, camera.password_file)
    if config.hub.ca_file and not _is_file(config.hub.ca_file):
        hint = "copy ca.crt from the folder lan in the hub's data_dir"
        problems.append(Problem(str(path), "hub.ca_file", f"no such file: {config.hub.ca_file}", hint))
    return problems + check_broker(config.broker, path)


def check_hub(config: HubConfig, path: Path) -> list[Problem]:
    """Problems of a hub's configuration that only the machine can tell."""
    other = config.integrations.broker
    problems = _secret_problems(path, "", config.database_env, config.database_file, "database")
    problems += check_broker(config.broker, path)
    if config.certs_dir and not config.certs_dir.is_dir():
        hint = "`labelwatch certs FOLDER --host NAME` makes it"
        problems.append(Problem(str(path), "certs_dir", f"no such folder: {config.certs_dir}", hint))
    return problems + (check_broker(other, path, "integrations.broker") if other else [])


def check_data_dir(folder: Path, path: Path) -> list[Problem]:
    """A problem where the data folder is shut to us, or a path of Windows; one that is missing will be made."""
    if not os.access(folder, os.F_OK) and _WINDOWS.search(str(folder)):
        reason = f"is a path of Windows, and here would be a folder by that name: {folder}"
        return [Problem(str(path), "data_dir", reason, "a path of this machine, such as /var/lib/labelwatch/data")]
    if not os.access(folder, os.F_OK) or os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return []
    return [Problem(str(path), "data_dir", f"can't be read and written: {folder}", AS_THAT_USER)]


def check_broker(broker: Broker, path: Path, key: str = "broker") -> list[Problem]:
    """Problems of a broker section, which stands under `key`, that only the machine can tell."""
    problems = _secret_problems(path, key, broker.password_env, broker.password_file)
    for name, file in _files_of_broker(broker, key):
        if file and not _is_file(file):
            problems.append(Problem(str(path), name, f"no such file: {file}", "check the path"))
    return problems


def _secret_problems(path: Path, key: str, env: str | None, file: Path | None, what: str = "password") -> list[Problem]:
    problems, name = [], f"{key}.{what}" if key else what
    if env and env not in os.environ:
        problems.append(Problem(str(path), f"{name}_env", f"the variable {env} is not set", "export it"))
    if file and not _is_file(file) and not _comes_with_service(file):
        problems.append(Problem(str(path), f"{name}_file", f"no such file: {file}", "check the path"))
    return problems


def _secrets_of_edge(config: EdgeConfig) -> Iterator[Named]:
    for n, camera in enumerate(config.cameras):
        yield f"cameras[{n}].password", camera.password_env, camera.password_file
    yield "broker.password", config.broker.password_env, config.broker.password_file


def _secrets_of_hub(config: HubConfig) -> Iterator[Named]:
    yield "database", config.database_env, config.database_file
    yield "broker.password", config.broker.password_env, config.broker.password_file
    if other := config.integrations.broker:
        yield "integrations.broker.password", other.password_env, other.password_file


def _files_of_edge(config: EdgeConfig) -> Iterator[tuple[str, Path | None]]:
    yield "hub.ca_file", config.hub.ca_file
    yield from _files_of_broker(config.broker)


def _files_of_hub(config: HubConfig) -> Iterator[tuple[str, Path | None]]:
    yield from _files_of_broker(config.broker)
    if other := config.integrations.broker:
        yield from _files_of_broker(other, "integrations.broker")
    yield "certs_dir", config.certs_dir and config.certs_dir / "authority" / "ca.key"


def _files_of_broker(broker: Broker, key: str = "broker") -> list[tuple[str, Path | None]]:
    return [(f"{key}.{name}", getattr(broker, name)) for name in ("ca_file", "cert_file", "key_file")]


def _for_people(path: Path, secrets: Sequence[Named], files: Iterable[tuple[str, Path | None]]) -> list[Problem]:
    """What people are told, but no worker ends for: it can watch the other cameras, and keep what it has to say."""
    unread = [
        Problem(str(path), name, f"can't be read: {file}", AS_THAT_USER)
        for name, file in (*files, *((f"{name}_file", file) for name, _, file in secrets))
        if file and _is_file(file) and not _may_read(file)
    ]
    return unread + _hollow_secrets(path, secrets)


def _hollow_secrets(path: Path, named: Iterable[Named]) -> list[Problem]:
    """Secrets that are there with nothing in them."""
    problems, hint = [], "put the secret there, or take the key out"
    for name, env, file in named:
        if env and env in os.environ and not os.environ[env].strip():
            problems.append(Problem(str(path), f"{name}_env", f"the variable {env} is empty", hint))
        if file and _may_read(file) and file.is_file():  # a pipe can be read once only, by whom it is for
            try:
                if not file.read_text(encoding="utf-8-sig").strip():
                    problems.append(Problem(str(path), f"{name}_file", f"is empty: {file}", hint))
            except OSError as error:
                reason = f"{file} can't be read: {error.strerror}"
                problems.append(Problem(str(path), f"{name}_file", reason, "check the disk"))
            except UnicodeDecodeError:
                problems.append(Problem(str(path), f"{name}_file", f"is not UTF-8 text: {file}", "save it as UTF-8"))
    return problems


def _database(config: HubConfig, path: Path) -> list[Problem]:
    """What is wrong with the database's address where it stands elsewhere, and can be read more than once."""
    env, file = config.database_env, config.database_file
    if not env and not (file and file.is_file()):
        return []
    try:
        config.database_url()
    except ConfigError as error:
        name, place = ("database_env", f"the variable {env}") if env else ("database_file", str(file))
        return [Problem(str(path), name, f"{place} {problem.reason}", problem.hint) for problem in error.problems]
    return []


def _is_known(model: str) -> bool:
    """Whether a model's name is that of a card in `models/`."""
    try:
        resource("models", f"{model}.yaml")
    except MissingPart:
        return False
    return True


def _is_file(path: Path) -> bool:
    """Whether there is something to read, or may be, in a folder that is shut to us; a pipe will do, a folder won't."""
    try:
        return path.exists() and not path.is_dir()
    except PermissionError:
        return True


def _may_read(path: Path) -> bool:
    return os.access(path, os.R_OK, effective_ids=True)


def _comes_with_service(path: Path) -> bool:
    """Whether systemd puts a secret there for a service that it runs (LoadCredential), which we are no part of."""
    return path.is_relative_to("/run/credentials") and os.environ.get("CREDENTIALS_DIRECTORY") != str(path.parent)
