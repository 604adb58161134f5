"""A fault of requests with OKX's own words where none are given."""

from exchanges.core.faults import Fault


class OkxFault(Fault, forbid_unknown_fields=True):
    """`on` is `METHOD /path` or `/path` of REST, `WS <operation>` or the operation alone, or `*`."""

    code: int = 50001
    msg: str = "Service temporarily unavailable. Try again later."
