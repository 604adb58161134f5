"""Emergency stops in the shapes of the REST contract, with everything that is not confirmed in words."""

from collections.abc import Iterator
from typing import Final

from flotilla.schemas.ids import InstanceId
from flotilla.schemas.session import EmergencyReceipt, FleetStopped, container_name
from flotilla.schemas.states import ClientState
from flotilla.services.gateway.engines import stop_replies
from flotilla.services.gateway.engines.unconfirmed import listed

LIFTED: Final = "stop_lifted"
IN_FORCE: Final = "stop_in_force"
UNKNOWN: Final = "unknown"


def open_questions(stopped: FleetStopped) -> tuple[str, ...]:
    """Everything that the stop could not confirm; none: every engine is flat and gone."""
    return (
        *(
            f"{receipt.instance_id}: {question}"
            for receipt in stopped.receipts
            for question in _questions(receipt)
        ),
        *(f"host {host} did not answer, what runs there is not known" for host in stopped.unreached),
    )


def emergency_reply(
    stopped: FleetStopped, instance_id: InstanceId | None, request_id: str
) -> stop_replies.EmergencyReply:
    """The envelope with a receipt per engine. `state` is unknown while an engine may still run."""
    all_gone = not stopped.unreached and all(receipt.is_gone for receipt in stopped.receipts)
    return stop_replies.EmergencyReply(
        message=_message(stopped, instance_id),
        state=ClientState.STOPPED if all_gone else UNKNOWN,
        data=stop_replies.EmergencyData(
            receipts=tuple(receipt_view(receipt) for receipt in stopped.receipts),
            flags=stopped.flags,
            unreached=stopped.unreached,
            milliseconds=stopped.milliseconds,
            request_id=request_id,
            untold=stopped.untold,
            is_kept=stopped.is_kept,
        ),
    )


def receipt_view(receipt: EmergencyReceipt) -> stop_replies.ReceiptView:
    """What became of one engine. Counts are null when the engine did not live to give them."""
    stop = receipt.stop
    return stop_replies.ReceiptView(
        instance_id=receipt.instance_id,
        session_id=receipt.session_id,
        container_name=container_name(receipt.session_id),
        host=receipt.host,
        orders_cancelled=stop.orders_cancelled if stop else None,
        positions_closed=stop.positions_closed if stop else None,
        confirmed_flat=receipt.is_flat,
        not_confirmed=tuple(_questions(receipt)),
        container_gone=receipt.is_gone,
        killed=receipt.is_killed,
        milliseconds=stop_replies.StepTimes(
            cancel=stop.cancel_ms if stop else None,
            close=stop.close_ms if stop else None,
            stop=stop.stop_ms if stop else None,
            engine=receipt.engine_ms,
            container_gone=receipt.gone_ms,
        ),
    )


def lifted(instance_id: InstanceId | None) -> str:
    """What to say of a stop that is lifted. Nothing starts by itself because of it."""
    return f"{instance_id or 'every engine'} may be started again"


def _questions(receipt: EmergencyReceipt) -> Iterator[str]:
    yield from receipt.not_confirmed
    if not receipt.not_confirmed and (receipt.is_killed or not receipt.is_flat):
        yield "not confirmed to be flat"
    if not receipt.is_gone:
        yield "its container is not confirmed to be gone"


def _message(stopped: FleetStopped, instance_id: InstanceId | None) -> str:
    questions = open_questions(stopped)
    if questions:
        return f"not confirmed: {listed(questions)}"
    names = sorted({receipt.instance_id for receipt in stopped.receipts})
    what = instance_id or "an engine"
    if not names:
        return f"nothing ran; {what} starts again only once the stop is lifted"
    were = f"{listed(names)} {'is' if len(names) == 1 else 'are'} flat and gone"
    return f"{were}; {what} starts again only once the stop is lifted"
