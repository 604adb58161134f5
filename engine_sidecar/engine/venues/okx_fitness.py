"""What OKX says of a key and of instruments, and NautilusTrader's adapter does not ask: whether it may trade, whether they trade now."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.model.identifiers import InstrumentId

ANSWER_S: Final = 5.0
_OKX: Final = "nautilus_trader.adapters.okx."
_CONFIG: Final = "/api/v5/account/config"
_INSTRUMENTS: Final = "/api/v5/public/instruments"


class NotSaid(Exception):
    """The venue did not answer, or not what was asked."""


class _Answer(msgspec.Struct):
    code: str
    data: list[dict[str, Any]]
    msg: str = ""


def is_okx(client: Any) -> bool:
    """True for the adapter's clients of data and of orders."""
    return type(client).__module__.startswith(_OKX)


async def may_trade(client: Any) -> bool:
    """Whether the key of a client of orders may trade. Raises NotSaid."""
    (account, *_) = await _asked(client, _CONFIG, is_signed=True) or [{}]
    if "perm" not in account:
        raise NotSaid(f"{_CONFIG} says nothing of permissions")
    return "trade" in str(account["perm"]).split(",")


async def states(client: Any, instruments: Iterable[InstrumentId]) -> dict[InstrumentId, str]:
    """The state of each instrument that the venue has. Raises NotSaid."""
    found: dict[InstrumentId, str] = {}
    for instrument in instruments:
        for kind in client._config.instrument_types:
            asked = urlencode({"instType": kind.name.upper(), "instId": instrument.symbol.value})
            for each in await _asked(client, f"{_INSTRUMENTS}?{asked}"):
                found[instrument] = str(each.get("state", ""))
    return found


async def _asked(client: Any, path: str, *, is_signed: bool = False) -> list[dict[str, Any]]:
    """By the address and the proxy that the client itself has."""
    config = client._config
    http = nautilus_pyo3.HttpClient(proxy_url=config.proxy_url)
    url = f"{client._http_client.base_url.rstrip('/')}{path}"
    # The venue's demo is at the same address.
    headers = {"x-simulated-trading": "1"} if config.environment == nautilus_pyo3.OKXEnvironment.DEMO else {}
    if is_signed:
        headers |= _signed(config, path)
    try:
        async with asyncio.timeout(ANSWER_S):
            response = await http.request(nautilus_pyo3.HttpMethod.GET, url, headers=headers)
        answer = msgspec.json.decode(response.body, type=_Answer)
    except Exception as error:
        raise NotSaid(f"{path.partition('?')[0]}: {type(error).__name__}") from error
    if response.status != 200 or answer.code != "0":
        raise NotSaid(f"{path.partition('?')[0]}: {answer.code} {answer.msg}")
    return answer.data


def _signed(config: Any, path: str) -> dict[str, str]:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sign = hmac.new(config.api_secret.encode(), f"{at}GET{path}".encode(), hashlib.sha256).digest()
    return {
        "OK-ACCESS-KEY": config.api_key,
        "OK-ACCESS-PASSPHRASE": config.api_passphrase,
        "OK-ACCESS-TIMESTAMP": at,
        "OK-ACCESS-SIGN": base64.b64encode(sign).decode(),
    }
