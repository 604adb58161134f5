"""The guard of secrets: each goes only to the adapter it is bound to, at addresses it is bound to, for its accounts and modes. Pure.

A plan comes from whoever asked for the engine. What in a client's config may be an address is found by its field's name and by its
form, whatever the field is called, and is refused unless it is bound: an address that is taken for none would be sent the secret.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.secrets import BoundSecret, SecretBinding
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.states import TradingMode
from flotilla.services.supervisor.core.live_guard import is_called_live

_NODE: Final = "spec.plan.node"
_SIDES: Final = ("data_clients", "exec_clients")
_ACCOUNTS: Final = frozenset({
    "account", "account_id", "account_number", "account_address", "wallet_address", "vault_address", "subaccount",
    "sub_account", "subaccount_id", "funder",
})  # fmt: skip
"""Fields of adapters that say who trades."""
_IDS: Final = frozenset({
    "load_ids", "instrument_ids", "instrument_families", "load_contracts", "filters", "filter_callable", "parent_symbols",
    "venue_dataset_map", "stream_market_ids_filter", "event_slug_builder", "event_type_ids", "event_ids", "market_ids",
})  # fmt: skip
"""Fields that hold ids of instruments and markets, or name code: they may look like the name of a host."""
_WORDS: Final = frozenset({
    "uri", "uris", "ip", "ips", "port", "ports", "ws", "wss", "http", "https", "rpc", "grpc", "dns", "addr", "peer", "origin",
    "node", "api", "site", "remote", "target", "upstream", "tunnel", "vpn", "broker", "callback",
})  # fmt: skip
_PARTS: Final = (
    "url", "host", "proxy", "proxies", "endpoint", "server", "gateway", "domain", "address", "socket", "socks", "webhook",
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_+ -]{0,200}")
_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_ID: Final = re.compile(r"[A-Za-z0-9^=/_.:* -]{0,200}")
_LONGEST: Final = 80


def refuse_misuse(spec: SessionSpec, secrets: Mapping[str, BoundSecret]) -> None:
    """Lets the session have its secrets if the plan uses each as it is bound. Raises FaultError `invalid` that names every field at fault."""
    if errors := [
        error for client in sorted(spec.plan.secrets) for error in _of_client(spec, client, secrets)
    ]:
        raise invalid(*errors)


def _of_client(spec: SessionSpec, client: str, secrets: Mapping[str, BoundSecret]) -> Iterator[FieldError]:
    name = spec.plan.secrets[client]
    binding = secrets[name].binding
    configs = dict(_configs(spec.plan.node, client))
    if not configs:
        yield FieldError(f"spec.plan.secrets.{client}", "is no client of the plan")
    for at, value in _addresses(configs):
        if binding is None or not _is_bound(value, binding.endpoints):
            yield FieldError(at, _address_problem(name, binding))
    if binding is None:
        return
    for at, path in _code(spec, client):
        if not _is_within(path, binding.adapter):
            yield FieldError(at, f"secret {name!r} is bound to another adapter: {binding.adapter}")
    mode = TradingMode.LIVE if is_called_live(spec) else TradingMode.PAPER
    if mode not in binding.modes:
        modes = " and ".join(binding.modes)
        yield FieldError("spec.trading_mode", f"secret {name!r} is bound to {modes} trading, this is {mode}")
    if binding.accounts:
        yield from _of_accounts(spec, client, name, binding)


def _address_problem(name: str, binding: SecretBinding | None) -> str:
    if binding is None:
        return f"may be an address, and secret {name!r} of an earlier release is bound to none: flotilla secret bind {name}"
    return f"may be an address that secret {name!r} is not bound to: bind it with --endpoint, or put the field into the secret"


def _of_accounts(spec: SessionSpec, client: str, name: str, binding: SecretBinding) -> Iterator[FieldError]:
    problem = f"secret {name!r} is bound to other accounts"
    configs = dict(_configs(spec.plan.node, client))
    for at, names, value in _leaves(configs):
        if names[-1:] and names[-1] in _ACCOUNTS and value is not None and str(value) not in binding.accounts:
            yield FieldError(at, problem)
    if not _has(spec.plan.node, "exec_clients", client):
        return
    chosen = [venue.account for venue in (spec.config.venues if spec.config else ()) if venue.name == client]
    if not chosen or chosen[0] not in binding.accounts:
        yield FieldError(f"config.venues.{client}.account", problem)


def _configs(node: Mapping[str, Any], client: str) -> Iterator[tuple[str, Any]]:
    """The configs of a client, by where they stand; all of it for a client that is not shaped like one."""
    for side in _SIDES:
        if _has(node, side, client):
            found = node[side][client]
            at = f"{_NODE}.{side}.{client}"
            yield (f"{at}.config", found.get("config")) if isinstance(found, dict) else (at, found)


def _has(node: Mapping[str, Any], side: str, client: str) -> bool:
    clients = node.get(side)
    return isinstance(clients, dict) and client in clients


def _code(spec: SessionSpec, client: str) -> Iterator[tuple[str, Any]]:
    """The import paths of all that is given the client's config: its classes, and the factories that NautilusTrader may take for it."""
    node, family = spec.plan.node, client.partition("-")[0]
    for side in _SIDES:
        if _has(node, side, client):
            yield f"{_NODE}.{side}.{client}.path", _within(node[side][client], "path")
    if _has(node, "exec_clients", client):
        yield f"spec.plan.exec_factories.{family}", spec.plan.exec_factories.get(family)
    if _has(node, "data_clients", client):
        # One factory serves all clients of a family, the last one's.
        for other, found in node["data_clients"].items():
            if str(other).partition("-")[0] == family:
                yield (
                    f"{_NODE}.data_clients.{_shown(other)}.factory",
                    _within(_within(found, "factory"), "path"),
                )


def _within(body: Any, field: str) -> Any:
    return body.get(field) if isinstance(body, dict) else None


def _is_within(path: Any, adapter: str) -> bool:
    if not isinstance(path, str) or path.count(":") != 1:
        return False
    return f"{path.partition(':')[0]}.".startswith(f"{adapter}.")


def _is_bound(value: str, endpoints: tuple[str, ...]) -> bool:
    """True for an address as it is bound, and for the host or the port of `host:port`."""
    if value in endpoints:
        return True
    parts = (endpoint.rpartition(":") for endpoint in endpoints if "/" not in endpoint)
    return any(value in (host, port) for host, _, port in parts if host and port.isdigit())


def _addresses(configs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a config names what may be an address, and what that is."""
    for at, names, value in _leaves(configs):
        if isinstance(value, str):
            if _may_be_address(names, value):
                yield at, value
        elif isinstance(value, int | float) and not isinstance(value, bool) and _may_be_port(names):
            yield at, str(value)


def _leaves(configs: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Every value within, and every key that may be an address, with where it stands and the names of the fields around it."""
    level: list[tuple[str, tuple[str, ...], Any]] = [(at, (), config) for at, config in configs.items()]
    while level:
        at, names, value = level.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                yield f"{at}.{_shown(key)}", names, key
                level.append((f"{at}.{_shown(key)}", (*names, key), inner))
        elif isinstance(value, list | tuple):
            level += [(f"{at}[{index}]", names, inner) for index, inner in enumerate(value)]
        else:
            yield at, names, value


def _may_be_address(names: tuple[str, ...], text: str) -> bool:
    if any(map(_names_address, names)):
        return True
    if names and names[-1] in _ACCOUNTS and _PLAIN.fullmatch(text):
        return False
    if _IDS.intersection(names) and _ID.fullmatch(text) and "//" not in text:
        return False
    is_harmless = _PLAIN.fullmatch(text) or _DATE.fullmatch(text)
    return not is_harmless or text.strip().lower() == "localhost"


def _names_address(field: str) -> bool:
    if field in _ACCOUNTS:
        return False
    lower = field.lower()
    return any(part in lower for part in _PARTS) or not _WORDS.isdisjoint(_words(field))


def _may_be_port(names: tuple[str, ...]) -> bool:
    """True for a number that is a port, or a host's address; others count seconds, also of sockets and requests."""
    lower = [name.lower() for name in names if name not in _ACCOUNTS]
    return any(name.endswith(("port", "ports")) or any(part in name for part in _PARTS) for name in lower)


def _words(field: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(field)}


def _shown(field: object) -> str:
    text = str(field)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
