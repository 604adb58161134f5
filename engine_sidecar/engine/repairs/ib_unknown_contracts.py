"""Interactive Brokers: what the gateway has no contract of is waited for until time is up, a minute by default.

The adapter hears the gateway's error 200 (no security definition), and ends the request without ending who waits for its answer. So such
a request is answered with nothing, which is what the gateway said. No public report of it was found.
"""

from typing import Any, Final

NO_SUCH_CONTRACT: Final = 200


def repair_ib_unknown_contracts(client: Any) -> None:
    """Has the gateway's client answer with nothing where there is no such contract; clients of others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.interactive_brokers."):
        return
    gateway = client._client
    handle = gateway._handle_request_error

    async def end(req_id: int, error_code: int, error_string: str) -> None:
        request = gateway._requests.get(req_id=req_id)
        await handle(req_id, error_code, error_string)
        if error_code == NO_SUCH_CONTRACT and request is not None and not request.future.done():
            request.future.set_result([])

    gateway._handle_request_error = end
