"""Who asks: key, signature over the query as it was sent, and clock."""

import hashlib
import hmac
from collections.abc import Iterable

from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.params import Params, integer, whole
from exchanges.binance.core.state import Account

RECV_WINDOW_MS, MOST_RECV_WINDOW_MS = 5_000, 60_000
AHEAD_MS = 1_000


def by_key(accounts: Iterable[Account], key: str) -> Account:
    """The account of a key.

    Raises:
        VenueError: -2014 if there is no key, -2015 if it is nobody's.
    """
    if not key or not key.isascii() or len(key) > 128:
        raise VenueError(-2014)
    for account in accounts:
        if hmac.compare_digest(account.key, key):
            return account
    raise VenueError(-2015)


def sign(secret: str, signed: str) -> str:
    """The signature of a query: HMAC-SHA256 in hex, as Binance's documentation has it."""
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()


def check_signature(account: Account, query: str) -> None:
    """Raises: VenueError: -1102 if `query` has no signature at its end, -1022 if it is not the account's."""
    signed, found, signature = query.rpartition("signature=")
    if not found or not signature:
        raise VenueError(-1102, "signature")
    if not hmac.compare_digest(sign(account.secret, signed.removesuffix("&")).encode(), signature.encode()):
        raise VenueError(-1022)


def check_clock(params: Params, now_ms: int) -> None:
    """Raises: VenueError: -1021 if the request was not made within its window before now."""
    made, window = integer(params, "timestamp"), whole(params, "recvWindow", RECV_WINDOW_MS)
    if made is None:
        raise VenueError(-1102, "timestamp")
    if not 0 < window <= MOST_RECV_WINDOW_MS:
        raise VenueError(-1130, "recvWindow")
    if made >= now_ms + AHEAD_MS or now_ms - made > window:
        raise VenueError(-1021)
