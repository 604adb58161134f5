"""What clients ask of contracts and markets, and how they begin and end to follow them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from exchanges.interactive_brokers.core import messages
from exchanges.interactive_brokers.core.bars import SHOWN, SIZES_MS, end_of, span_ms
from exchanges.interactive_brokers.core.contracts import Wanted, find, wanted
from exchanges.interactive_brokers.core.errors import Refusal
from exchanges.interactive_brokers.core.feed import Feed
from exchanges.interactive_brokers.core.links import Links
from exchanges.interactive_brokers.core.session import BarsAsked, Session
from exchanges.interactive_brokers.core.state import Contract
from exchanges.interactive_brokers.core.venue import Venue
from exchanges.interactive_brokers.core.wire import Message

TICKS = ("Last", "AllLast", "BidAsk")
DAYS = 5  # of trading hours


def contract_details(venue: Venue, fields: Sequence[str]) -> list[Message]:
    """All contracts that fit a description.

    Raises:
        Refusal: 200 if there is none.
    """
    request, asked = int(fields[2]), wanted(fields, 3)
    found = find(venue.state.contracts.values(), asked)
    if not found:
        raise Refusal(200)
    today = datetime.fromtimestamp(venue.now_ms / 1000, UTC)
    days = [f"{today + timedelta(days=n):%Y%m%d}" for n in range(DAYS)]
    hours = ";".join(f"{day}:0000-{day}:2359" for day in days)
    told = [messages.contract_details(request, c, asked.exchange, hours) for c in found]
    return [*told, ("52", "1", request)]


def matching_symbols(venue: Venue, fields: Sequence[str]) -> list[Message]:
    """The contracts whose symbol, or a word of whose name, begins with what was asked for; futures are none of them."""
    request, asked = int(fields[1]), fields[2].upper()
    found = [
        contract
        for contract in venue.state.contracts.values()
        if not contract.is_future
        and any(word.startswith(asked) for word in (contract.symbol, *contract.long_name.upper().split()))
    ]
    return [messages.symbol_samples(request, found)]


def _one(venue: Venue, asked: Wanted) -> Contract:
    found = find(venue.state.contracts.values(), asked)
    if len(found) != 1:
        raise Refusal(200)
    return found[0]


def follow_top(venue: Venue, session: Session, fields: Sequence[str]) -> tuple[Message, ...]:
    """The best prices of a contract, at each change.

    Raises:
        Refusal: 200 if there is no such contract.
    """
    session.tops[int(fields[2])] = _one(venue, wanted(fields, 3)).con_id
    return ()


def follow_ticks(venue: Venue, session: Session, fields: Sequence[str]) -> tuple[Message, ...]:
    """Each trade of a contract, or each change of its best prices.

    Raises:
        Refusal: 200 if there is no such contract, 321 if it has no such ticks.
    """
    contract = _one(venue, wanted(fields, 2))
    if fields[14] not in TICKS or (contract.kind == "CASH" and fields[14] != "BidAsk"):
        raise Refusal(321, f"Invalid tick-by-tick type:{fields[14]}")
    session.ticks[int(fields[1])] = (contract.con_id, fields[14])
    return ()


def follow_bars(venue: Venue, session: Session, fields: Sequence[str]) -> tuple[Message, ...]:
    """Bars of five seconds as they end.

    Raises:
        Refusal: 200 if there is no such contract, 321 if it has no such bars.
    """
    contract = _one(venue, wanted(fields, 3))
    if fields[15] != "5":
        raise Refusal(321, f"Invalid real time bar size:{fields[15]}")
    show = _shown(contract, fields[16])
    session.real_time[int(fields[2])] = BarsAsked(con_id=contract.con_id, show=show, size_ms=5_000)
    return ()


def history(
    venue: Venue, feed: Feed, links: Links, session: Session, fields: Sequence[str]
) -> tuple[Message, ...]:
    """Bars of the past; if they are to be kept up to date, the client is told how the last ones change.

    Raises:
        Refusal: 162, 200, 321: no farm, no such contract, no such bars.
    """
    links.check_history()
    request, contract = int(fields[1]), _one(venue, wanted(fields, 2))
    end_text, size, duration, _, show, form, keep = fields[15:22]
    if size not in SIZES_MS:
        raise Refusal(321, f"Invalid bar size:{size}")
    end_ms = end_of(end_text, venue.now_ms)
    asked = BarsAsked(
        con_id=contract.con_id, show=_shown(contract, show), size_ms=SIZES_MS[size], epoch=form == "2"
    )
    answer = feed.history(request, asked, end_ms - span_ms(duration), end_ms)
    if keep == "1":
        session.history[request] = asked
    return (answer,)


def _shown(contract: Contract, show: str) -> str:
    if show not in SHOWN or (show == "TRADES" and contract.kind == "CASH"):
        raise Refusal(321, f"Invalid what to show:{show}")
    return show


def leave(followed: Sequence[dict[int, Any]], request: str) -> tuple[Message, ...]:
    """Ends what was begun by a request.

    Raises:
        Refusal: 300 if nothing was.
    """
    first, *others = followed
    if int(request) not in first:
        raise Refusal(300, request)
    for mapping in (first, *others):
        mapping.pop(int(request), None)
    return ()
