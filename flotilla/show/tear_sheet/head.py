"""What stands first on a tear sheet: what ran, with which parameters, versions and digests, and its headline figures."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from flotilla.schemas.backtest import BacktestConfig, Metrics
from flotilla.schemas.figures import FIGURES, UNDEFINED, share, written
from flotilla.show import formats
from flotilla.show.backtest_tables import strategy_name, venue_choices
from flotilla.show.tear_sheet.html import Html, breakable, element, facts, joined, note, section, text
from flotilla.show.tear_sheet.record import Record

_TILES: Final = (
    *("total_return", "annualized_return", "max_drawdown", "sharpe_ratio", "final_equity", "total_trades"),
)
_ELSEWHERE: Final = frozenset(
    (
        *("strategy", "strategy_class", "strategy_config", "strategies"),
        *("output_path", "data_sources", "save_results", "seed", "venue_settings"),
    )
)
"""Of a config: what stands in another place on the sheet, or decides nothing."""
_NAMED: Final = 4
"""Digests of a kind that stand open; the others unfold."""
_LISTED: Final = 500
"""Digests of a kind that are listed at all: more have one digest together."""


def title(config: BacktestConfig) -> str:
    """`ema_cross on SPX.SIM`; of many instruments the first three."""
    more = ", …" if len(config.instruments) > 3 else ""
    return f"{strategy_name(config)} on {', '.join(config.instruments[:3])}{more}"


def heading(record: Record) -> Html:
    """Its title, and what it is in one line."""
    view, config = record.view, record.view.config
    parts = [f"backtest {view.backtest_id}", f"{config.start_date[:10]} to {config.end_date[:10]}"]
    if view.events is not None:
        parts.append(f"{view.events:,} events")
    if view.completed_at is not None:
        parts.append(f"run {formats.moment(view.completed_at)}")
    return element("header", element("h1", title(config)), element("p", " · ".join(parts), class_="lead"))


def what_ran(record: Record) -> Html:
    """Strategy, parameters, settings, versions and digests."""
    config, manifest = record.view.config, record.manifest
    versions = [
        ("NautilusTrader", manifest.nautilus_version),
        ("Flotilla", manifest.flotilla_version),
        ("Python", manifest.python),
        ("image", manifest.image or UNDEFINED),
        ("host", manifest.host),
        ("seed", str(manifest.seed)),
    ]
    groups = (*_strategies(record), ("Settings", _settings(config)), ("Versions", versions))
    return section(
        "What ran",
        element(
            "div",
            *(element("div", element("h3", name), facts(pairs)) for name, pairs in groups),
            class_="columns",
        ),
        _digests(
            "Packages, SHA-256",
            {f"{each.name}@{each.version}": each.digest for each in manifest.plan.packages},
        ),
        _digests("Strategy sources, SHA-256", manifest.strategy_sources),
        _digests("Data files, SHA-256", {each.path: each.sha256 for each in manifest.files}),
    )


def _strategies(record: Record) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    """Each with the parameters that it ran with, where the plan has them; a config has those alone that somebody chose."""
    config, plans = record.view.config, record.manifest.plan.strategies
    if len(plans) > 1:
        for number, plan in enumerate(plans, 1):
            yield (
                f"Strategy {number}",
                [("class", _value(plan.get("strategy_path"))), *_pairs(plan.get("config"))],
            )
        return
    ran = plans[0].get("config") if plans else None
    name = config.strategy or config.strategy_class or strategy_name(config)
    yield "Strategy and parameters", [("strategy", name), *_pairs(ran or config.strategy_config)]


def _pairs(parameters: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    return ((name, _value(value)) for name, value in (parameters or {}).items())


def _settings(config: BacktestConfig) -> Iterator[tuple[str, str]]:
    """All that was chosen, and the defaults that decide what comes of a run."""
    plain = msgspec.to_builtins(config)
    for name, value in plain.items():
        if name not in _ELSEWHERE and value is not None and value not in ((), [], {}):
            yield name.replace("_", " "), _value(value)
    for venue, chosen in venue_choices(config).items():
        said = f"{_value(chosen)}; others at their defaults" if chosen else "all at their defaults"
        yield f"settings of {venue}", said


def _value(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{key}={_value(item)}" for key, item in value.items()) or UNDEFINED
        case list() | tuple():
            return ", ".join(map(_value, value)) or UNDEFINED
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.10g}"
        case None:
            return UNDEFINED
        case _:
            return str(value)


def _digests(what: str, by_name: Mapping[str, str]) -> Html:
    if not by_name:
        return Html("")
    made = [
        element(
            "p", breakable(name), " ", element("span", digest or UNDEFINED, class_="digest"), class_="file"
        )
        for name, digest in islice(by_name.items(), _LISTED)
    ]
    more = made[_NAMED:]
    unfolded = element("details", element("summary", f"{len(more):,} more"), *more) if more else ""
    return joined((element("h3", what), *made[:_NAMED], unfolded, _unlisted(by_name)))


def _unlisted(by_name: Mapping[str, str]) -> Html:
    """How many there are beyond those listed, and the SHA-256 of all lines `digest  name`, as sha256sum prints them."""
    if len(by_name) <= _LISTED:
        return Html("")
    lines = "".join(f"{digest}  {name}\n" for name, digest in by_name.items())
    whole = hashlib.sha256(lines.encode()).hexdigest()
    return note(
        f"{len(by_name) - _LISTED:,} more are not listed; the list of all {len(by_name):,} has SHA-256 {whole}"
    )


def headline(record: Record) -> Html:
    """The figures that everybody asks for."""
    metrics = record.view.metrics
    if metrics is None:
        return Html("")
    return element("div", *(_tile(record, metrics, name) for name in _TILES), class_="tiles")


def _tile(record: Record, metrics: Metrics, name: str) -> Html:
    below = ""
    compared = record.compared()
    if name == "total_return" and compared is not None:
        below = f"buy and hold {share(compared.total_return)}"
    elif name == "max_drawdown" and metrics.max_drawdown_days:
        below = f"lasted {written('max_drawdown_days', metrics.max_drawdown_days)}"
    elif name == "total_trades" and metrics.win_rate is not None:
        below = f"won {written('win_rate', metrics.win_rate)}"
    figure, _, unit = written(name, getattr(metrics, name), record.currency).partition(" ")
    return element(
        "div",
        element("span", FIGURES[name].label),
        element("b", figure, element("small", f" {unit}") if unit else ""),
        element("span", text(below) if below else Html("&nbsp;")),
    )
