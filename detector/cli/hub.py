"""Verbs of a hub, with its broker."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from detector.cli.arguments import (
    FAILED,
    FINE,
    HUB_CONFIG,
    LANGUAGE,
    MISUSED,
    Verb,
    file_or_folder,
    head_of_log,
    places,
    port,
    positive,
    spoken,
    verbs_of,
)
from detector.errors import ConfigError, NotThere, Problem
from detector.machine.progress import progress_count


def add_verbs(verb: Verb) -> None:
    """Name them."""
    hub = verb("hub", run_hub, "monitoring hub")
    hub.add_argument("config", **HUB_CONFIG)
    hub.add_argument("--port", type=port, metavar="N", help="instead of the configured one; 0 takes a free one")
    hub.add_argument("--lan", action="store_true", help="for phones in this network: TLS, and a QR code")

    certs = verb("certs", run_certs, "authority, certificates and configuration for an MQTT broker with TLS")
    certs.add_argument(
        "folder", type=file_or_folder, metavar="FOLDER", help="new, or an earlier one to bring up to date"
    )
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}  # given twice, none of them is dropped
    certs.add_argument("--host", **several, metavar="NAME", help="names and addresses of the broker")
    certs.add_argument("--edge", **several, metavar="SITE/EDGE", help="edges that need a certificate")
    certs.add_argument("--revoke", **several, metavar="SITE/EDGE", help="let them in no more")
    certs.add_argument("--cluster", action="store_true", help="instead, those of a Dask cluster for replay --scheduler")
    certs.add_argument(
        "--renew-days", type=positive, default=60, metavar="N", help="renew what ends within so many days (60)"
    )
    certs.add_argument("--language", **LANGUAGE)

    backup = verb("backup", run_backup, "database and data folder of a hub, running or not, to a folder of backups")
    backup.add_argument("config", **HUB_CONFIG)
    backup.add_argument(
        "--to", type=file_or_folder, required=True, metavar="FOLDER", help="on another disk; made when missing"
    )
    backup.add_argument("--keep", type=positive, metavar="N", help="delete all but the newest N backups")
    backup.add_argument("--json", action="store_true", help="what was done as JSON")

    restore = verb(
        "restore",
        run_restore,
        "bring a backup back into the data folder of a hub that doesn't run, checksums compared first",
    )
    restore.add_argument("backup", type=file_or_folder, metavar="BACKUP.json", help="in the folder of backups")
    restore.add_argument("--config", required=True, **HUB_CONFIG)
    restore.add_argument(
        "--force", action="store_true",
        help="move aside what is in the data folder; of PostgreSQL, replace the hub's tables, which are kept there as "
        "database.dump",
    )  # fmt: skip
    restore.add_argument(
        "--without-damaged", action="store_true",
        help="leave out recordings that are missing from the backup or damaged in it, and name them",
    )  # fmt: skip

    action = verbs_of(verb("user", run_user_list, "people of a hub, running or not"), "ACTION")
    add = action("add", run_user_add, "one more, with a one-time password, which is printed")
    add.add_argument("name", metavar="NAME", help="by which they log in")
    add.add_argument(
        "--role", required=True, choices=("owner", "admin", "reviewer", "viewer"),
        help="owner: everything; admin: runs the system, sees no labels; reviewer: the guard; viewer: blurred pictures",
    )  # fmt: skip
    add.add_argument(
        "--scope",
        type=places,
        metavar="LIST",
        help="sites and cameras that they see, e.g. shanghai,suzhou/cam3; all when left out",
    )
    add.add_argument("--unseen", action="store_true", help="also places that no box has told of yet")
    reset = action("reset", run_user_reset, "a new one-time password, which is printed; logs them out everywhere")
    reset.add_argument("name", metavar="NAME", help="by which they log in")
    reset.add_argument(
        "--second-step", action="store_true", help="instead, let them in without a code from their phone, which is lost"
    )
    listed = action("list", run_user_list, "who there is")
    listed.add_argument("--json", action="store_true", help="as JSON")

    action = verbs_of(verb("audit", run_audit_verify, "audit log of a hub, running or not"), "ACTION")
    checked = action("verify", run_audit_verify, "whether entries were changed, deleted, reordered or cut off")
    whose = "or an audit log that was downloaded from one (.jsonl), which needs no hub"
    checked.add_argument("config", **{**HUB_CONFIG, "help": f"{HUB_CONFIG['help']}; {whose}"})
    checked.add_argument(
        "--head", type=head_of_log, action="append", default=[], metavar="NUMBER:HASH",
        help="of an entry, as audit head printed it; may be repeated",
    )  # fmt: skip
    head = action("head", run_audit_head, "the last entry's number and hash, to write down elsewhere")
    for one in (add, reset, listed, head):
        one.add_argument("config", **HUB_CONFIG)

    verify = verb("verify", run_verify, "evidence pack: what holds, what does not")
    verify.add_argument("pack", type=file_or_folder, metavar="PACK.zip", help="as the hub's page of a case makes it")
    verify.add_argument(
        "--key",
        metavar="FINGERPRINT|FILE",
        help="fingerprint that the hub's key must have, as on the printed sheet, or a file with it",
    )
    verify.add_argument("--language", **LANGUAGE)
    verify.add_argument("--json", action="store_true", help="findings as JSON")


def run_hub(options: argparse.Namespace) -> int:
    """`labelwatch hub`."""
    from detector.machine.heap import loading

    with loading():
        from detector.config import check_broker, load_hub
        from detector.hub.server import serve

    config = load_hub(options.config)
    if problems := check_broker(config.broker, options.config):
        raise ConfigError(problems)
    return serve(config, port=options.port, lan=options.lan)


def run_certs(options: argparse.Namespace) -> int:
    """`labelwatch certs`."""
    from detector.credentials.certs import make_certificates, revoke_named

    language = options.language or spoken()
    # A cluster's folder is carried to every machine, and a broker's holds the key that makes a box of any name.
    of_broker, of_cluster = ((options.folder / name).exists() for name in ("authority", "node.key"))
    if of_broker if options.cluster else of_cluster and not of_broker:
        whose = "a broker's" if of_broker else "a cluster's"
        raise ConfigError([Problem(str(options.folder), "", f"holds {whose} keys already", "name another folder")])
    if options.cluster:
        from detector.credentials.cluster import make_cluster_certificate

        if options.host or options.edge or options.revoke:
            raise ConfigError([Problem("certs", "--cluster", "goes with a folder alone", "see --help")])
        print("\n".join(make_cluster_certificate(options.folder, time.time(), options.renew_days).lines(language)))
        return FINE
    if options.revoke:
        if not options.folder.is_dir():
            raise NotThere(options.folder, "folder", "where `labelwatch certs` made them")
        lines, known = revoke_named(options.folder, options.revoke, language)
        print("\n".join(lines))
        if not (known and (options.host or options.edge)):
            return FINE if known else FAILED
    report = make_certificates(options.folder, options.host, options.edge, time.time(), options.renew_days)
    print("\n".join(report.lines(language)))
    return FINE


def run_backup(options: argparse.Namespace) -> int:
    """`labelwatch backup`."""
    from dataclasses import asdict

    from detector.clock import SystemClock
    from detector.config import load_hub
    from detector.hub.upkeep.backup import back_up

    config = load_hub(options.config)
    with progress_count("files") as progress:
        report = back_up(config, options.to, SystemClock().now(), keep=options.keep, progress=progress)
    if options.json:
        print(json.dumps({**asdict(report), "file": str(report.file)}))
    else:
        new = f"{report.copied} new, {report.copied_bytes / 2**20:.1f} MiB"
        print(f"{report.file}: {report.files} files, {report.bytes / 2**20:.1f} MiB ({new})")
        for word, paths in (("missing", report.missing), ("damaged", report.damaged)):
            for path in paths:
                print(f"{word}: {path}", file=sys.stderr)
    return 0 if report.is_whole else 1


def run_restore(options: argparse.Namespace) -> int:
    """`labelwatch restore`."""
    from detector.clock import SystemClock
    from detector.config import load_hub
    from detector.hub.upkeep.restore import restore

    config = load_hub(options.config)
    left_out: list[str] | None = [] if options.without_damaged else None
    with progress_count("files") as progress:
        aside = restore(
            options.backup, config, force=options.force, left_out=left_out, now=SystemClock().now(), progress=progress
        )  # fmt: skip
    print(f"brought back into {config.data_dir}" + (f"; what was there is now {aside}" if aside else ""))
    print("edges send no alert twice: what they handed over after the backup was made is not in it")
    print("people, tokens and boxes are let in as they were then: shut out anew whom you have shut out since")
    for path in left_out or ():
        print(f"left out: {path}", file=sys.stderr)
    return 1 if left_out else 0


def run_user_add(options: argparse.Namespace) -> int:
    """`labelwatch user add`."""
    from detector.config import load_hub
    from detector.hub.storage.rights import Role, Scope
    from detector.hub.upkeep.console import Console, database_of

    with database_of(load_hub(options.config), make=True) as database:
        console = Console(database)
        known = console.known()
        if not options.unseen and (unheard := known.unheard(options.scope or ())):
            hints = {one: f"{known.hint(one)} With --unseen it is taken all the same" for one in unheard}
            reason = "no box has told this hub of"
            raise ConfigError([Problem("user add", "--scope", f"{reason} {one}", hints[one]) for one in unheard])
        password = console.add_user(options.name, Role(options.role), Scope.of(options.scope))
    print(f"one-time password: {password}\n  (shown this once; at first login they choose their own)")
    return FINE


def run_user_reset(options: argparse.Namespace) -> int:
    """`labelwatch user reset`."""
    from detector.config import load_hub
    from detector.hub.upkeep.console import Console, database_of

    with database_of(load_hub(options.config)) as database:
        if options.second_step:
            Console(database).drop_second_step(options.name)
            print(f"{options.name} logs in by the password alone now, and can set up a second step anew")
            return FINE
        password = Console(database).reset(options.name)
    print(f"one-time password: {password}\n  (shown this once; at first login they choose their own)")
    return FINE


def run_user_list(options: argparse.Namespace) -> int:
    """`labelwatch user list`."""
    from detector.config import load_hub
    from detector.hub.upkeep.console import Console, database_of, user_lines, user_record

    with database_of(load_hub(options.config)) as database:
        users = Console(database).users()
    if options.json:
        print(json.dumps([user_record(user) for user in users], ensure_ascii=False))
    else:
        print("\n".join(user_lines(users)))
    return FINE


def run_audit_verify(options: argparse.Namespace) -> int:
    """`labelwatch audit verify`."""
    from detector.config import load_hub
    from detector.hub.upkeep.console import check_audit, check_export, is_export

    if is_export(options.config):
        checked, words, told = check_export(options.config, options.head)
        print("\n".join([*(words or ["the log holds"]), *told]))
        print(f"head: {checked.head}")
        return FAILED if words else FINE
    checked, words, heads = check_audit(load_hub(options.config), options.head)
    print("\n".join(words) or f"the log holds: {checked.head.number} entries, compared with {len(heads)} heads")
    # What was cut off after the last of them can't be told, so say how far they reach.
    covered = max((head.number for head in heads), default=0)
    if not words and covered < checked.head.number:
        print(f"of the entries after {covered} no head was kept yet: others may have stood there")
    print(f"head: {checked.head}")
    return FAILED if words else FINE


def run_audit_head(options: argparse.Namespace) -> int:
    """`labelwatch audit head`."""
    from detector.config import load_hub
    from detector.hub.access.audit import Audit
    from detector.hub.upkeep.console import database_of

    with database_of(load_hub(options.config)) as database:
        head = Audit(database).head()
    print(head or "no entries yet")
    return FINE


def run_verify(options: argparse.Namespace) -> int:
    """`labelwatch verify`: 0 all holds, 1 something doesn't, 2 it can't be read as a pack."""
    from detector.tools.verify import fingerprint_from, verify

    try:
        report = verify(options.pack, None if options.key is None else fingerprint_from(options.key))
    except FileNotFoundError as error:
        raise NotThere(options.pack, "pack") from error
    except OSError as error:
        raise ConfigError([Problem(str(options.pack), "", f"can't be read: {error.strerror}")]) from error
    if options.json:
        print(json.dumps(report.record()))
    else:
        print("\n".join(report.lines(options.language or spoken())))
    if not report.readable:
        return MISUSED
    return FAILED if report.broken else FINE
