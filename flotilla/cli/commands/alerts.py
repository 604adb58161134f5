"""`flotilla alert`: what people are told of, by which rules, and where."""

from typing import Any, Final

import click
from rich.text import Text

from flotilla.cli.options import Options, common, labels, pass_options, request_id
from flotilla.cli.session import with_fleet
from flotilla.client.client import Flotilla
from flotilla.schemas.alert_rules import RULES
from flotilla.schemas.telemetry import Severity
from flotilla.show.alert_tables import (
    alerts_table,
    channels_table,
    mutes_report,
    rules_table,
    tested_report,
)
from flotilla.state.exits import Exit

_RULE: Final = click.Choice(list(RULES))
_SEVERITY: Final = click.Choice([str(one) for one in Severity])


@click.command()
@click.option("--all", "is_all", is_flag=True, help="Those that are over, too.")
@click.option("--about", metavar="NAME", help="Only of this engine, host or backtest, or of `fleet`.")
@click.option("--rule", type=_RULE, help="Only of this rule.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@labels("Only of engines that carry this label; may be repeated: then all of them.")
@common
@pass_options
@with_fleet
async def ls(options: Options, fleet: Flotilla, /, *, is_all: bool, **given: Any) -> None:
    """List alerts, the newest first: those that are open; and what is muted."""
    found = await fleet.alerts(all=is_all, **given)
    options.output.document(found, lambda: alerts_table(found))


@click.command()
@click.argument("alert_id", metavar="ALERT")
@click.option("--note", default="", metavar="TEXT", help="What you are doing about it.")
@common
@request_id
@pass_options
@with_fleet
async def ack(options: Options, fleet: Flotilla, /, *, alert_id: str, note: str) -> None:
    """Say that you have taken an alert on: people are told of it again only when it is over."""
    alert = await fleet.ack_alert(alert_id, note=note, request_id=options.request_id)
    said = f"alert {alert.alert_id} ({alert.rule} of {alert.about}) is taken on by {alert.acknowledged_by}"
    options.output.document(alert, lambda: Text(said))


@click.command()
@click.option("--about", metavar="NAME", help="Of this engine, host or backtest, or `fleet`.")
@click.option("--rule", type=_RULE, help="Of this rule.")
@click.option(
    "--minutes", type=click.FloatRange(0, 43_200), default=60.0, show_default=True, help="0 ends the mute."
)
@click.option("--reason", default="", metavar="TEXT")
@labels("Of engines that carry this label; may be repeated: then all of them.")
@common
@request_id
@pass_options
@with_fleet
async def mute(options: Options, fleet: Flotilla, /, *, minutes: float, **given: Any) -> None:
    """Tell nobody of alerts that fit all of what is given, for a time. They are listed all the same."""
    found = await fleet.mute_alerts(for_s=minutes * 60, request_id=options.request_id, **given)
    options.output.document(found, lambda: mutes_report(found.mutes))


@click.command("ls")
@common
@pass_options
@with_fleet
async def rule_ls(options: Options, fleet: Flotilla) -> None:
    """List the rules, and what was set of them for engines, hosts and labels."""
    found = await fleet.alert_rules()
    options.output.document(found, lambda: rules_table(found))


@click.command("set")
@click.argument("rule", type=_RULE)
@click.option("--about", metavar="NAME", help="Only for this engine or host.")
@click.option("--on/--off", "is_on", default=None, help="Whether it is told of at all.")
@click.option("--severity", type=_SEVERITY)
@click.option("--threshold", type=float, help="In the unit that `rule ls` shows.")
@click.option("--window", "window_s", type=float, metavar="SECONDS", help="Of a rule that counts.")
@click.option("--reset", "is_reset", is_flag=True, help="Take back first what was set for these.")
@labels("Only for engines that carry this label; may be repeated: then all of them.")
@common
@request_id
@pass_options
@with_fleet
async def rule_set(options: Options, fleet: Flotilla, /, *, rule: str, **given: Any) -> None:
    """Set a rule: for all, for engines of some labels, or for one engine or host. What is for one comes before what is for all."""
    found = await fleet.set_alert_rule(rule, request_id=options.request_id, **given)
    options.output.document(found, lambda: rules_table(found))


@click.command("ls")
@common
@pass_options
@with_fleet
async def channel_ls(options: Options, fleet: Flotilla) -> None:
    """List the channels, and how it goes with them."""
    found = await fleet.alert_channels()
    options.output.document(found, lambda: channels_table(found))


@click.command("add")
@click.argument("name")
@click.option("--secret", required=True, metavar="NAME", help="The secret whose `url` is the address.")
@click.option("--severity", type=_SEVERITY, default="warning", show_default=True, help="And graver ones.")
@click.option("--rule", "rules", type=_RULE, multiple=True, help="Only of this rule; may be repeated.")
@click.option("--on/--off", "is_on", default=True, help="Whether anything is sent there.")
@click.option("--resolved/--no-resolved", "tells_resolved", default=True, help="Tell when they are over.")
@labels("Only of engines that carry this label; may be repeated: then all of them.")
@common
@request_id
@pass_options
@with_fleet
async def channel_add(options: Options, fleet: Flotilla, /, *, name: str, **given: Any) -> None:
    """Add the channel NAME, or change it. Its address, one of Apprise, is a secret of the fleet.

    \b
    echo '{"url": "mailto://…"}' | flotilla secret set desk_mail --adapter apprise
    flotilla alert channel add desk --secret desk_mail
    """
    found = await fleet.set_alert_channel(name, request_id=options.request_id, **given)
    options.output.document(found, lambda: channels_table(found))


@click.command("rm")
@click.argument("name")
@common
@request_id
@pass_options
@with_fleet
async def channel_rm(options: Options, fleet: Flotilla, /, *, name: str) -> None:
    """Take the channel NAME away, with what waits to be sent there. Its secret stays."""
    found = await fleet.remove_alert_channel(name, request_id=options.request_id)
    options.output.document(found, lambda: channels_table(found))


@click.command("test")
@click.argument("name")
@common
@request_id
@pass_options
@with_fleet
async def channel_test(options: Options, fleet: Flotilla, /, *, name: str) -> int:
    """Send a message of its own to the channel NAME. The exit code is 1 when it was not taken."""
    tested = await fleet.test_alert_channel(name, request_id=options.request_id)
    options.output.document(tested, lambda: tested_report(tested))
    return Exit.OK if tested.is_sent else Exit.FAILED
