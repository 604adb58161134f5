"""The codes with which the gateway refuses, and their words."""

MESSAGES = {
    103: "Duplicate order id",
    104: "Cannot modify a filled order.",
    105: "Order being modified does not match original order.",
    110: "The price does not conform to the minimum price variation for this contract.",
    135: "Can't find order with ID ={}",
    162: "Historical Market Data Service error message:{}",
    200: "No security definition has been found for the request",
    201: "Order rejected - reason:{}",
    202: "Order Canceled - reason:{}",
    300: "Can't find EId with tickerId:{}",
    320: "Error reading request. {}",
    321: "Error validating request.-'{}'",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    387: "Unsupported order type for this exchange and security type.",
    434: "The order size cannot be zero.",
    504: "Not connected",
    1100: "Connectivity between IBKR and Trader Workstation has been lost.",
    1101: "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IBKR and Trader Workstation has been restored - data maintained.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    10147: "OrderId {} that needs to be cancelled is not found.",
    10148: "OrderId {} that needs to be cancelled cannot be cancelled, state: {}.",
    10243: "Fractional-sized order cannot be placed via API for this contract.",
}


class Refusal(Exception):
    """A request that is refused; nothing was changed by it."""

    def __init__(self, code: int, *words: object) -> None:
        self.code = code
        self.text = MESSAGES[code].format(*words)
        super().__init__(f"{code}: {self.text}")
