"""OKX: stops and other conditional orders that rest at the venue are in no report of open orders, so that none is known after a restart,
nor cancelled.

The adapter asks for regular orders only; its REST client can ask for the conditional ones too.
https://github.com/nautechsystems/nautilus_trader/issues/4716 has the same gap in their histories.
"""

from typing import Any


def repair_okx_algo_orders(client: Any) -> None:
    """Adds the open conditional orders to what the execution client reports; others are left alone."""
    if not type(client).__module__.startswith("nautilus_trader.adapters.okx."):
        return
    regular = client.generate_order_status_reports

    async def with_conditional(command: Any) -> list[Any]:
        reports: list[Any] = await regular(command)
        known = {each.venue_order_id for each in reports}
        try:
            found = await _conditional(client, command.instrument_id)
        except Exception as error:  # noqa: BLE001 - as the adapter does: the gate hears of it
            client._log_report_error(error, "OrderStatusReports of conditional orders")
            return reports
        added = [each for each in found if each.is_open and each.venue_order_id not in known]
        for each in filter(lambda one: one.client_order_id is not None, added):
            # By which the adapter cancels them.
            client._algo_order_ids[each.client_order_id] = each.venue_order_id.value
            client._algo_order_instruments[each.client_order_id] = each.instrument_id
        return [*reports, *added]

    client.generate_order_status_reports = with_conditional


async def _conditional(client: Any, instrument: Any) -> list[Any]:
    from nautilus_trader.adapters.okx.execution import _supports_algo_orders  # noqa: PLC0415
    from nautilus_trader.core import nautilus_pyo3  # noqa: PLC0415
    from nautilus_trader.execution.reports import OrderStatusReport  # noqa: PLC0415

    if instrument is not None:
        asked = [{"instrument_id": nautilus_pyo3.InstrumentId.from_str(instrument.value)}]
    else:
        kinds = client._config.instrument_types
        asked = [{"instrument_type": each} for each in kinds if _supports_algo_orders(each)]
    found = []
    for about in asked:
        for each in await client._http_client.request_algo_order_status_reports(
            account_id=client.pyo3_account_id, **about
        ):
            report = OrderStatusReport.from_pyo3(client._hydrate_zero_quantity_algo_report(each))
            client._apply_client_order_alias(report)
            found.append(report)
    return found
