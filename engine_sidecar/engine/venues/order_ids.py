"""Client order ids as venues take them."""

from typing import Any, Final

_WITHOUT_HYPHENS: Final = "nautilus_trader.adapters.okx."
_FIELD: Final = "use_hyphens_in_client_order_ids"


def with_order_ids(kernel: Any, plan: dict[str, Any]) -> dict[str, Any]:
    """The plan of a strategy, whose order ids have no hyphens where the engine trades at OKX: it takes letters and digits only.

    What the plan itself says stays.
    """
    config = plan.get("config")
    clients = kernel.exec_engine._clients.values()
    if not isinstance(config, dict) or not any(
        type(each).__module__.startswith(_WITHOUT_HYPHENS) for each in clients
    ):
        return plan
    return plan | {"config": {_FIELD: False} | config}
