"""What to do about a fault: by its code, and by what was asked for."""

import math
import re
from collections.abc import Callable
from typing import Final

import click
import msgspec

from flotilla.schemas.fault import Fault, FaultCode

_HOLDER: Final = re.compile(r"\bis traded by engine (\S+)")
"""In the message of a start that needs an account which another engine has: that one is to be looked at."""
_NAMES: Final = ("name", "engine", "backtest_id", "study_id")
_LISTS: Final = {
    "engine": "`flotilla engine ls` lists the engines",
    "emergency-stop": "`flotilla engine ls` lists the engines",
    "strategy": "`flotilla engine ls` lists the engines, `flotilla strategy ls {name}` the strategies of one",
    "backtest": "`flotilla backtest ls` lists the backtests",
    "study": "`flotilla study ls` lists the studies",
    "template": "`flotilla template ls` lists the templates",
    "secret": "`flotilla secret ls` lists the secrets",
    "access": "`flotilla access ls` lists the tokens",
}
_SHOWS: Final = {
    "engine": "`flotilla engine inspect {name}` shows its present state",
    "emergency-stop": "`flotilla engine ls` shows what is there now",
    "strategy": "`flotilla engine inspect {name}` shows its present state",
    "backtest": "`flotilla backtest show {name}` shows its present state",
    "study": "`flotilla study show {name}` shows its present state",
    "container": "`flotilla container ls` shows what is there now",
    "access": "add --replace to give {name} a new one; the old one then stops working at once",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The command that failed: its group (`engine`; of a command without one its name), its verb, what it was about, its options."""

    group: str = ""
    verb: str = ""
    name: str = ""
    options: frozenset[str] = frozenset()


def asked_by(context: click.Context | None) -> Asked:
    """What a command line asked for, from the context of its command."""
    if context is None:
        return Asked()
    parent = context.parent
    group = parent.info_name if parent and parent.parent else context.info_name
    given = [context.params.get(name) for name in _NAMES]
    return Asked(
        group=group or "",
        verb=context.info_name or "",
        name=next((value for value in given if isinstance(value, str)), ""),
        options=frozenset(option for each in context.command.params for option in each.opts),
    )


def remedy_of(problem: Fault, asked: Asked) -> str:
    """What to do, as one line; empty where the message says all there is to say."""
    find = _REMEDIES.get(problem.code)
    return find(problem, asked) if find else ""


def _confirm(problem: Fault, asked: Asked) -> str:
    if any(each.field == "yes" for each in problem.errors):
        return "look at what is shown, and add --yes if you mean it"
    option = "--confirm-live-trading"
    return f"add {option} if you mean it" if option in asked.options else ""


def _look_for(_: Fault, asked: Asked) -> str:
    return _of_group(_LISTS, asked)


def _look_at(problem: Fault, asked: Asked) -> str:
    if holder := _HOLDER.search(problem.message):
        return _SHOWS["engine"].format(name=holder[1])
    if asked.group == "package" and "--force" in asked.options:
        return "add --force if you mean it"
    # What is to be run conflicts with another of its name.
    return _of_group(_LISTS if asked.verb == "run" else _SHOWS, asked)


def _find_out(_: Fault, asked: Asked) -> str:
    again = "the same --request-id may be sent again safely" if "--request-id" in asked.options else ""
    return "; ".join(part for part in (_of_group(_SHOWS, asked), again) if part)


def _again(problem: Fault, _: Asked) -> str:
    after = problem.retry_after_s
    return "try again in a moment" if after is None else f"try again in {math.ceil(after)} s"


def _when_away(problem: Fault, asked: Asked) -> str:
    """A fault with an error id was answered by a service: the stack runs, and a part of it is missing."""
    missing = "`flotilla doctor` says what is missing"
    if asked.group == "instrument":
        return "look at the venue's address and at the key (`flotilla secret ls`); nothing was stored"
    if "--wheels" in problem.message:
        return ""  # It is the package index that is away, and the message says the way round it.
    if not problem.error_id:
        return f"start the stack with `flotilla up`; {missing}"
    return missing if problem.retry_after_s is None else f"{_again(problem, asked)}; {missing}"


def _of_group(texts: dict[str, str], asked: Asked) -> str:
    text = texts.get(asked.group, "")
    placeholder = "ID" if asked.group in ("backtest", "study") else "ENGINE"
    return text.format(name=asked.name or placeholder)


_REMEDIES: Final[dict[FaultCode, Callable[[Fault, Asked], str]]] = {
    FaultCode.CONFIRMATION_REQUIRED: _confirm,
    FaultCode.NOT_FOUND: _look_for,
    FaultCode.AMBIGUOUS_ENGINE: lambda *_: "name the engine: `flotilla engine ls --active` lists them",
    FaultCode.CONFLICT: _look_at,
    FaultCode.BUSY: _again,
    FaultCode.UNAVAILABLE: _when_away,
    FaultCode.INTERNAL: lambda *_: "look for the error id in the logs of the state folder",
    FaultCode.OUTCOME_UNKNOWN: _find_out,
}
