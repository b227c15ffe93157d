"""Every problem of a configuration, those too that only the machine can tell: missing files, missing secrets."""

from __future__ import annotations

import os
from pathlib import Path

from detector.config.connections import Broker
from detector.config.edge import EdgeConfig
from detector.config.hub import HubConfig
from detector.config.reading import load_edge, load_hub
from detector.config.yaml_tree import read_tree
from detector.errors import ConfigError, Problem


def check_file(path: Path) -> list[Problem]:
    """Every problem of a configuration file, edge or hub (it is an edge's when it names cameras, a site or an edge)."""
    try:
        tree = read_tree(path)
        if {"cameras", "site", "edge"} & tree.keys():
            return check_edge(load_edge(path), path)
        return check_hub(load_hub(path), path)
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
    for n, camera in enumerate(config.cameras):
        if not camera.live and not Path(camera.source).exists():
            problems.append(
                Problem(str(path), f"cameras[{n}].source", f"no such file or folder: {camera.source}", "check the path")
            )
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
    return problems + (check_broker(other, path, "integrations.broker") if other else [])


def check_broker(broker: Broker, path: Path, key: str = "broker") -> list[Problem]:
    """Problems of a broker section, which stands under `key`, that only the machine can tell."""
    problems = _secret_problems(path, key, broker.password_env, broker.password_file)
    for name in ("ca_file", "cert_file", "key_file"):
        file = getattr(broker, name)
        if file and not _is_file(file):
            problems.append(Problem(str(path), f"{key}.{name}", f"no such file: {file}", "check the path"))
    return problems


def _secret_problems(path: Path, key: str, env: str | None, file: Path | None, what: str = "password") -> list[Problem]:
    problems, name = [], f"{key}.{what}" if key else what
    if env and env not in os.environ:
        problems.append(Problem(str(path), f"{name}_env", f"the variable {env} is not set", "export it"))
    if file and not _is_file(file):
        problems.append(Problem(str(path), f"{name}_file", f"no such file: {file}", "check the path"))
    return problems


def _is_file(path: Path) -> bool:
    """Whether there is something to read; a pipe will do, a folder won't."""
    return path.exists() and not path.is_dir()
