"""`key`: change the store's key, or protect it by a passphrase."""

from __future__ import annotations

from functools import partial

import typer

from facegate import parts
from facegate.access.custody import change_key, settled_key
from facegate.access.keys import (
    PASSPHRASE_CREDENTIAL,
    ask_passphrase,
    check_passphrase,
    is_credential,
    write_key,
)
from facegate.cli.options import (
    ConfigFile,
    PassphraseFile,
    back_up,
    embedder_model,
    first_line,
    passphrase_from,
)
from facegate.config import load_config
from facegate.errors import InputError

app = typer.Typer(help="Change or protect the store's key.", no_args_is_help=True)


@app.command()
def rotate(config: ConfigFile = None) -> None:
    """Seal people, trail and backups under a new key; the daemon must be stopped."""
    settings = load_config(config)
    change_key(parts.places(settings), embedder_model(settings))
    with parts.open_store(settings, embedder_model(settings)) as store:
        back_up(settings, store)
    typer.echo("Everything is sealed under a new key. Backups made before hold the old one.")


@app.command()
def protect(
    passphrase_file: PassphraseFile = None,
    config: ConfigFile = None,
) -> None:
    """Seal the key file by a passphrase; protecting it again changes the passphrase."""
    settings = load_config(config)
    if is_credential(settings.key_path):
        raise InputError(f"{settings.key_path}: systemd guards this key already")
    key = settled_key(parts.places(settings))
    passphrase = passphrase_from(passphrase_file, "New passphrase", confirm=True)
    write_key(settings.key_path, key, check_passphrase(passphrase))
    typer.echo(
        "Protected. Without the passphrase the service does not start; as root, give it that:\n"
        "  install -d -m 700 /etc/credstore.encrypted\n"
        f"  systemd-creds encrypt --name={PASSPHRASE_CREDENTIAL} PASSPHRASE-FILE "
        f"/etc/credstore.encrypted/{PASSPHRASE_CREDENTIAL}"
    )


@app.command()
def unprotect(passphrase_file: PassphraseFile = None, config: ConfigFile = None) -> None:
    """Take the passphrase off the key file."""
    settings = load_config(config)
    if is_credential(settings.key_path):
        raise InputError(f"{settings.key_path}: systemd guards this key; it has no passphrase")
    ask = ask_passphrase if passphrase_file is None else partial(first_line, passphrase_file)
    write_key(settings.key_path, settled_key(parts.places(settings), ask))
    typer.echo("The key file needs no passphrase any more.")
