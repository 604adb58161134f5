"""`flotilla secret`: credentials of venues, bound and encrypted; no stack has to run.

Values never stand on the command line, where every user of the machine could read them, and are never shown.
"""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import RenderableType
from rich.text import Text

from flotilla.bus.secret_store import WITHOUT_ADAPTER, Rotation, SecretStore
from flotilla.cli.options import Options, common, pass_options
from flotilla.schemas.decoding import convert, decode
from flotilla.schemas.fault import invalid
from flotilla.schemas.secrets import SecretBinding, StoredSecret
from flotilla.schemas.states import TradingMode
from flotilla.show.output import table
from flotilla.state.adapters import adapter_module
from flotilla.state.secret_places import secret_folder, secret_store

F = TypeVar("F", bound=Callable[..., Any])


def _binding(*, is_required: bool) -> Callable[[F], F]:
    """Adds what says what a secret is bound to."""
    adapter = click.option(
        "--adapter",
        metavar="ADAPTER",
        required=is_required,
        help="The adapter that it is for, such as binance, or the package of one of your own.",
    )
    endpoints = click.option(
        "--endpoint",
        "endpoints",
        multiple=True,
        metavar="ADDRESS",
        help="An address that a venue's config may name, exactly so; without any, the adapter's own hold.",
    )
    accounts = click.option(
        "--account",
        "accounts",
        multiple=True,
        metavar="ACCOUNT",
        help="An account that it may trade; all without.",
    )
    modes = click.option(
        "--mode",
        "modes",
        multiple=True,
        type=click.Choice([mode.value for mode in TradingMode]),
        help="What it may be used for: paper, which is the default, or live, trading with money.",
    )
    is_test_exchange = click.option(
        "--test-exchange",
        "is_test_exchange",
        is_flag=True,
        help="Its addresses are among its fields, and no money is there: orders may go there on paper.",
    )
    return lambda command: adapter(endpoints(accounts(modes(is_test_exchange(command)))))


@click.command("set")
@click.argument("name")
@_binding(is_required=False)
@common
@pass_options
def set_(options: Options, /, *, name: str, **given: Any) -> None:
    """Store the secret NAME: from a JSON object on stdin, or asked for field by field, without showing what is typed.

    It is bound to an adapter and its own addresses (of a test exchange those among its fields), and to paper trading unless --mode
    says otherwise. One that is there keeps its binding when no --adapter is given: so a venue's key is replaced by a newer one.
    Engines that run have theirs.

    \b
    flotilla secret set binance_main --adapter binance --mode live < keys.json
    """
    binding, store = _bound(name, **given), _store(options, is_written=True)
    if binding is None and not store.has(name):
        raise invalid(WITHOUT_ADAPTER)
    values = _asked() if sys.stdin.isatty() else decode(sys.stdin.buffer.read(), dict[str, Any])
    kept = store.save(name, values, binding)
    shown = f"secret {name} is stored, with {', '.join(sorted(values))}; for {_summary(kept)}"
    options.output.document({"name": name, "fields": sorted(values), "binding": kept}, lambda: Text(shown))


@click.command()
@click.argument("name")
@_binding(is_required=True)
@common
@pass_options
def bind(options: Options, /, *, name: str, **given: Any) -> None:
    """Bind the secret NAME anew: its values stay as they are."""
    binding = _bound(name, **given)
    if binding is None:
        raise click.UsageError("give --adapter")
    _store(options, is_written=True).bind(name, binding)
    options.output.document(
        {"name": name, "binding": binding}, lambda: Text(f"secret {name} is for {_summary(binding)}")
    )


@click.command()
@common
@pass_options
def ls(options: Options) -> None:
    """List the secrets by name, with the names of their fields and what they are bound to."""
    found = list(_store(options).all())
    options.output.document({"secrets": found}, lambda: _table(found))


@click.command()
@click.argument("name")
@common
@pass_options
def rm(options: Options, *, name: str) -> None:
    """Delete the secret NAME. Engines that run have read theirs already."""
    _store(options).remove(name)
    options.output.document({"name": name}, lambda: Text(f"secret {name} is deleted"))


@click.command("rotate-key")
@click.option(
    "--keep-keys", is_flag=True, help="Encrypt with the first key of the key file, and leave that as it is."
)
@common
@pass_options
def rotate_key(options: Options, *, keep_keys: bool) -> None:
    """Encrypt all secrets with a new key, and drop the old one. Engines and the stack run on."""
    store = _store(options, is_written=True)
    done = store.encrypt_again() if keep_keys else store.rotate_key()
    options.output.document(done, lambda: Text(_rotated(done)))


def _store(options: Options, *, is_written: bool = False) -> SecretStore:
    if is_written and secret_folder(options.folder) == options.folder.secrets:
        options.folder.create()
    return secret_store(options.folder)


def _bound(
    name: str,
    *,
    adapter: str | None,
    endpoints: tuple[str, ...],
    accounts: tuple[str, ...],
    modes: tuple[str, ...],
    is_test_exchange: bool,
) -> SecretBinding | None:
    """What the options say; None where they say nothing. Raises FaultError `invalid`, click.UsageError without an adapter."""
    if adapter is None:
        if endpoints or accounts or modes or is_test_exchange:
            raise click.UsageError(
                f"--endpoint, --account, --mode and --test-exchange go with --adapter: what {name} is bound to is said as a whole"
            )
        return None
    body: dict[str, Any] = {
        "adapter": adapter_module(adapter),
        "endpoints": sorted(set(endpoints)),
        "accounts": sorted(set(accounts)),
        "is_test_exchange": is_test_exchange,
    }
    if modes:
        body["modes"] = sorted(set(modes))
    made: SecretBinding = convert(body, SecretBinding, "binding")
    return made


def _asked() -> dict[str, Any]:
    values: dict[str, Any] = {}
    while field := click.prompt(
        "field, such as api_key (empty ends)", default="", show_default=False, err=True
    ):
        values[field] = click.prompt(f"value of {field}", hide_input=True, err=True)
    return values


def _summary(binding: SecretBinding) -> str:
    own = "the addresses among its fields" if binding.is_test_exchange else "its own addresses"
    where = ", ".join(binding.endpoints) or own
    who = f", accounts {', '.join(binding.accounts)}" if binding.accounts else ""
    test = ", a test exchange" if binding.is_test_exchange else ""
    return f"{binding.adapter} at {where}{test}{who}, {' and '.join(binding.modes)} trading"


def _table(secrets: list[StoredSecret]) -> RenderableType:
    if not secrets:
        return Text("no secrets; store one: flotilla secret set NAME --adapter ADAPTER < keys.json")
    made = table("SECRET", "FIELDS", "FOR", "")
    for secret in secrets:
        bound = _summary(secret.binding) if secret.binding else "-"
        made.add_row(secret.name, ", ".join(secret.fields), bound, Text(secret.problem, style="red"))
    return made


def _rotated(done: Rotation) -> str:
    return f"key {done.key} encrypts {', '.join(done.secrets) or 'what is stored from now on'}"
