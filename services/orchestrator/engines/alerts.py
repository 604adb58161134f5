"""Publishes the alerts of the fleet: each once, and again until the bus has taken it."""

from flotilla.bus.bus import Bus
from flotilla.bus.logs import get_logger
from flotilla.schemas.contract import FLEET_ALERT
from flotilla.schemas.fault import FaultError
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert

log = get_logger(__name__)


class Alerts:
    """What people were told since we started, and what they are still to be told."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._told: set[str] = set()
        self._waiting: dict[str, RaiseAlert] = {}

    async def tell(self, effect: RaiseAlert) -> None:
        """Tells people, unless the same was told before."""
        if effect.key in self._told:
            return
        self._told.add(effect.key)
        alert = effect.alert
        # `message` is taken by the log line itself.
        log.warning(
            "alert",
            code=alert.code,
            severity=str(alert.severity),
            text=alert.message,
            about=alert.instance_id,
        )
        await self._publish(effect)

    async def tell_again(self) -> None:
        """Publishes what the bus did not take before."""
        for effect in list(self._waiting.values()):
            await self._publish(effect)

    async def _publish(self, effect: RaiseAlert) -> None:
        try:
            # The stream compares ids: whoever takes over from us may publish the same once more.
            await self._bus.publish_durable(FLEET_ALERT, effect.alert, message_id=effect.key)
        except FaultError as error:
            log.warning("alert not published", key=effect.key, error=str(error))
            self._waiting[effect.key] = effect
        else:
            self._waiting.pop(effect.key, None)
