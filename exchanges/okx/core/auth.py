"""Who asks: key, passphrase, signature and clock."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

import msgspec

from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.state import Account

WINDOW_MS = 30_000


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What proves who asks: `text` is what was signed after the moment, `moment` as it was sent."""

    key: str = ""
    passphrase: str = ""
    moment: str = ""
    sign: str = ""
    text: str = ""


def sign(secret: str, text: str) -> str:
    """The signature of a text: HMAC-SHA256 in base64, as OKX's documentation has it."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def of_request(accounts: Iterable[Account], signed: Signed, now_ms: int) -> Account:
    """The account of a signed REST request; its moment is ISO 8601, as in 2020-12-08T09:08:57.715Z.

    Raises:
        VenueError: 50103, 50111, 50105, 50112, 50102 or 50113.
    """
    if not signed.key:
        raise VenueError(50103)
    account = _by_key(accounts, signed.key)
    if account is None:
        raise VenueError(50111)
    if not _same(account.passphrase, signed.passphrase):
        raise VenueError(50105)
    try:
        at_ms = datetime.fromisoformat(signed.moment).timestamp() * 1000
    except ValueError:
        raise VenueError(50112) from None
    if abs(now_ms - at_ms) > WINDOW_MS:
        raise VenueError(50102)
    if not _same(sign(account.secret, signed.moment + signed.text), signed.sign):
        raise VenueError(50113)
    return account


def of_login(accounts: Iterable[Account], signed: Signed, now_ms: int) -> Account:
    """The account of a login on a WebSocket; its moment is in Unix seconds.

    Raises:
        VenueError: 60005, 60024, 60006 or 60007.
    """
    account = _by_key(accounts, signed.key)
    if account is None:
        raise VenueError(60005)
    if not _same(account.passphrase, signed.passphrase):
        raise VenueError(60024)
    whole = signed.moment.partition(".")[0]
    if not whole.isascii() or not whole.isdigit() or abs(now_ms - int(whole) * 1000) > WINDOW_MS:
        raise VenueError(60006)
    if not _same(sign(account.secret, f"{signed.moment}GET/users/self/verify"), signed.sign):
        raise VenueError(60007)
    return account


def _by_key(accounts: Iterable[Account], key: str) -> Account | None:
    return next((account for account in accounts if _same(account.key, key)), None)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
