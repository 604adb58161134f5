"""The connections of the gateway to what is behind it: the venue, the market data farm, the farm of histories."""

from exchanges.interactive_brokers.core.errors import Refusal


class Links:
    """Which of them are broken. `venue_code` is the code with which the venue was lost: 1100 or 2110, 0 if it is there."""

    def __init__(self) -> None:
        self.venue_code = 0
        self.market_broken = False
        self.history_broken = False

    def codes(self) -> list[int]:
        """What a client is told of them when it comes."""
        farms = [2103 if self.market_broken else 2104, 2105 if self.history_broken else 2106]
        return [self.venue_code, *farms] if self.venue_code else farms

    @property
    def has_market(self) -> bool:
        """Whether there is market data."""
        return not (self.venue_code or self.market_broken)

    def check_venue(self) -> None:
        """Raises: Refusal: 504 if the venue is not there."""
        if self.venue_code:
            raise Refusal(504)

    def check_history(self) -> None:
        """Raises: Refusal: 162 if there is no farm of histories."""
        if self.venue_code or self.history_broken:
            raise Refusal(162, "HMDS connection is broken")
