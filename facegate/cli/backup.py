"""`backup` and `restore`: everything a machine needs, in one encrypted file."""

from __future__ import annotations

import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate import parts
from facegate.access.audit import Record, all_trails, read
from facegate.access.backup import Backup, needs_passphrase, open_backup
from facegate.access.custody import SETTINGS_PART, settled_key, take_backup
from facegate.access.custody import restore as put_back
from facegate.access.erasure import come_back
from facegate.access.files import write_whole
from facegate.access.keys import check_passphrase
from facegate.access.rolling import STORE_PART
from facegate.access.store import Store
from facegate.cli.options import ConfigFile, PassphraseFile, passphrase_from, record
from facegate.cli.output import AsJson, emit, spelled_out
from facegate.config import Config, find_config, load_config
from facegate.errors import InputError, StoreError

PROMPT = "Passphrase of the backup"


def backup(
    out: Annotated[Path, typer.Argument(help="A file that is not there yet.", show_default=False)],
    passphrase_file: PassphraseFile = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Back people, key, PIN, settings and audit trail up into one file, sealed by a passphrase.

    It can be done while the daemon runs. The file is opened again and checked.
    """
    settings = load_config(config)
    if out.exists():
        raise InputError(f"{out}: is there already; choose another name")
    passphrase = check_passphrase(passphrase_from(passphrase_file, PROMPT, confirm=True))
    key = settled_key(parts.places(settings))
    facts = {"made_at_wall": time.time(), "version": version("facegate")}
    taken = take_backup(parts.places(settings), key, facts)
    used = config or find_config()
    if used is not None:
        taken = Backup({**taken.parts, SETTINGS_PART: used.read_bytes()}, taken.facts)
    try:
        write_whole(out, taken.sealed(passphrase))
        again = open_backup(out.read_bytes(), passphrase, str(out))
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error
    with Store.from_image(again.parts[STORE_PART], key, str(out)) as copy:
        people = len(copy.people())
    record(settings, "backup_made", f"{out} is written", people=people, file=str(out.absolute()))
    result = {"file": str(out), "people": people, "parts": sorted(again.parts)}
    emit(result, as_json, [f"{out}: {people} people, verified. Keep the passphrase elsewhere."])


def restore(
    file: Annotated[Path | None, typer.Argument(help="From `facegate backup`.")] = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="The newest good copy that facegate made by itself.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if people are enrolled here.")
    ] = False,
    settings_out: Annotated[
        Path | None, typer.Option("--settings", help="Where to write the backup's settings.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Put people back from a backup; onto an empty machine also key, PIN and audit trail.

    The daemon must be stopped. Whom the audit trail knows to have been forgotten is named.
    """
    if (file is None) != latest:
        raise typer.BadParameter("give a FILE, or --latest")
    settings = load_config(config)
    taken, name = _latest(settings) if file is None else _opened(file, settings, passphrase_file)
    if settings_out is not None:  # before people change: one that fails leaves all as it was
        _write_settings(settings_out, taken, name)
    try:
        settings.state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(
            f"{settings.state_folder}: cannot be made: {error.strerror}; set state.folder"
        ) from error
    records = _recorded(settings)  # the backup's own trail may take its place
    there = put_back(parts.places(settings), taken, name, replace=replace)
    people, forgotten = len(there), come_back(there, records)
    made_s = float(taken.facts["made_at_wall"])
    done = f"{people} people are back"
    facts = {"forgotten": ", ".join(str(p.person_id) for p in forgotten)} if forgotten else {}
    try:
        record(settings, "backup_restored", done, None, people=people, made_at_wall=made_s, **facts)
    finally:
        for person in forgotten:
            who = f"{person.name}, number {person.person_id}, was forgotten, and is back"
            erase = f"`sudo facegate people forget {person.person_id}` erases them again"
            typer.echo(spelled_out(f"facegate: {who} by this backup; {erase}"), err=True)
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(made_s))
    result: dict[str, Any] = {"people": people, "made_at_wall": made_s, "from": name}
    result["forgotten"] = [p.person_id for p in forgotten]
    emit(result, as_json, [f"{people} people are back, as of {made}, from {name}."])


def _recorded(settings: Config) -> list[Record]:
    """Give what the audit trails tell, as far as they can be read: people are put back anyway."""
    records: list[Record] = []
    for trail in all_trails(settings.audit_path):
        with suppress(StoreError):
            records.extend(read(trail))
    return records


def _write_settings(out: Path, taken: Backup, name: str) -> None:
    if SETTINGS_PART not in taken.parts:
        raise InputError(f"{name}: holds no settings; leave out --settings")
    try:
        write_whole(out, taken.parts[SETTINGS_PART])
        out.chmod(0o644)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error


def _latest(settings: Config) -> tuple[Backup, str]:
    path, taken = parts.rolling_backups(settings).newest_good()
    return taken, str(path)


def _opened(file: Path, settings: Config, passphrase_file: Path | None) -> tuple[Backup, str]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    secret: str | bytes
    if needs_passphrase(content):
        secret = passphrase_from(passphrase_file, PROMPT, confirm=False)
    else:
        secret = settled_key(parts.places(settings))
    return open_backup(content, secret, str(file)), str(file)
