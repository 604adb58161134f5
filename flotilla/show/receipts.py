"""What an emergency stop came to, for people: a row per engine, and in words what is not known to be done."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.bus.receipts import are_confirmed, is_confirmed, untold_text
from flotilla.schemas.session import EmergencyReceipt, FleetStopped, StopFlags
from flotilla.schemas.telemetry import StopFlag
from flotilla.show import formats
from flotilla.show.output import table


def stopped_report(done: FleetStopped, program: str) -> RenderableType:
    """The receipts, what is not confirmed, and the flags that stay."""
    parts: list[RenderableType] = [_table(done.receipts)] if done.receipts else []
    parts += _not_known(done)
    parts.append(Text(_verdict(done), style="green" if are_confirmed(done) else "bold red"))
    parts += [_flag(flag) for flag in done.flags]
    parts.append(Text(f"  lift       {program} emergency-stop --lift", style="dim"))
    return Group(*parts)


def flags_left(left: StopFlags) -> RenderableType:
    """The stop flags that are still in force."""
    silent = [_silent(host) for host in left.unreached]
    if left.untold:
        away = f"out of sight, lifted there when they come back: {', '.join(left.untold)}"
        silent.append(Text(away, style="yellow"))
    return Group(*silent, *(map(_flag, left.flags) if left.flags else [Text("no stop is in force")]))


def _table(receipts: Sequence[EmergencyReceipt]) -> RenderableType:
    made = table("ENGINE", "SESSION", ">ORDERS", ">CLOSED", "FLAT", "GONE", ">MS")
    for column in made.columns[2:]:
        column.no_wrap = True
    for one in receipts:
        made.add_row(
            Text(one.instance_id, overflow="fold"),
            one.session_id,
            str(one.stop.orders_cancelled) if one.stop else "?",
            str(one.stop.positions_closed) if one.stop else "?",
            Text("yes", style="green") if one.is_flat else Text("NOT CONFIRMED", style="bold red"),
            _gone(one),
            "" if one.gone_ms is None else f"{one.gone_ms:,.0f}",
        )
    return made


def _gone(receipt: EmergencyReceipt) -> Text:
    if not receipt.is_gone:
        return Text("NO", style="bold red")
    return Text("killed", style="yellow") if receipt.is_killed else Text("yes", style="green")


def _verdict(done: FleetStopped) -> str:
    if not done.receipts:
        return "no engine gave a receipt" if done.unreached else "no engine ran"
    flat = sum(map(is_confirmed, done.receipts))
    return f"{flat} of {len(done.receipts)} engines confirmed flat and gone, {done.milliseconds:,.0f} ms"


def _not_known(done: FleetStopped) -> Iterator[Text]:
    for one in done.receipts:
        if one.is_around_bus:
            told = f"AROUND THE BUS {one.instance_id}: told by SIGTERM on host {one.host}"
            yield Text(told, style="yellow")
        for what in one.not_confirmed:
            yield Text(f"NOT CONFIRMED {one.instance_id}: {what}", style="red")
    for host in done.unreached:
        yield _silent(host)
        later = "it is stopped when it comes back" if done.is_kept else "it is not told when it comes back"
        yield Text(f"  {host}: {later}", style="red")
    if done.untold:
        yield Text(untold_text(done.untold, is_kept=done.is_kept), style="yellow")


def _silent(host: str) -> Text:
    return Text(f"NOT CONFIRMED host {host} did not answer: what runs there is not known", style="bold red")


def _flag(flag: StopFlag) -> Text:
    who = f"engine {flag.instance_id} does" if flag.instance_id else "engines do"
    why = f" ({flag.reason})" if flag.reason else ""
    return Text(f"{who} not start, since {formats.moment(flag.since)}{why}")
