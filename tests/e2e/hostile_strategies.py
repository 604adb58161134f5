"""A strategy that attacks its sidecar, and trades only when nothing was let through."""

from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import OrderSide

from tests import hostile
from tests.strategies_for_tests import OnBars


class AttacksItsSidecar(OnBars):
    """On the third bar. `how` is the bus as ADDRESS:PORT; empty in a container, where it finds that itself."""

    def act(self, bar: Bar) -> None:
        if self.bars == 3:
            self.attack()
        if self.bars >= 3:
            self.market(OrderSide.BUY if self.bars % 2 else OrderSide.SELL)

    def attack(self) -> None:
        address, _, port = self.config.how.partition(":")
        bus = (address, int(port)) if port else hostile.bus_of_this_container()
        found = list(hostile.attack(hostile.above(), bus, is_container=not port))
        print(f"tried {len(found)}", flush=True)
        if let := hostile.through(found):
            raise RuntimeError(f"let through: {let}")
