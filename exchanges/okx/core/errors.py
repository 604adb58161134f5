"""The venue's refusals, with its own codes and words."""

_WORDS = {
    50001: "Service temporarily unavailable. Try again later.",
    50011: "Rate limit reached. Please refer to API documentation and throttle requests accordingly.",
    50014: "Parameter {detail} can not be empty.",
    50102: "Timestamp request expired.",
    50103: "Request header OK-ACCESS-KEY can not be empty.",
    50105: "Request header OK-ACCESS-PASSPHRASE incorrect.",
    50111: "Invalid OK-ACCESS-KEY.",
    50112: "Invalid OK-ACCESS-TIMESTAMP.",
    50113: "Invalid Sign.",
    50115: "Invalid request method.",
    50120: "This API key doesn't have permission to use this function.",
    51000: "Parameter {detail} error.",
    51001: "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    51006: "Order price is not within the price limit ({detail}).",
    51008: "Order failed. Insufficient USDT margin in account.",
    51010: "Operation is not supported under the current account mode.",
    51016: "Duplicated client order ID.",
    51020: "Your order should meet or exceed the minimum order amount.",
    51027: "Contract expired.",
    51030: "Funding fee is being settled. Cannot place orders.",
    51121: "Order quantity must be a multiple of the lot size.",
    51155: "Trading of this pair or contract is restricted.",
    51169: "Order failed because you don't have any positions in this direction for this contract to reduce or close.",
    51203: "Order amount exceeds the limit of {detail}.",
    51277: "TP trigger price can't be higher than the last price.",
    51278: "SL trigger price can't be lower than the last price.",
    51279: "TP trigger price can't be lower than the last price.",
    51280: "SL trigger price can't be higher than the last price.",
    51400: "Cancellation failed as the order has been filled, canceled or does not exist.",
    51503: "Order modification failed as the order has been filled, canceled or does not exist.",
    51506: "Order modification unavailable for the order type.",
    51603: "Order does not exist.",
    59102: "Leverage exceeds the maximum limit.",
    60005: "Invalid apiKey.",
    60006: "Timestamp request expired.",
    60007: "Invalid sign.",
    60011: "Please log in.",
    60012: "Invalid request: {detail}",
    60018: "Wrong URL or {detail} doesn't exist. Please use the correct URL, channel and parameters referring to API document.",
    60024: "Wrong passphrase.",
}
_STATUS = {50001: 503, 50011: 429, 50115: 405} | dict.fromkeys(
    (50102, 50103, 50105, 50111, 50112, 50113, 50120), 401
)


class VenueError(Exception):
    """A refusal: the venue's `code`, its words, and the HTTP status that they come with if the whole request is refused."""

    def __init__(self, code: int, detail: object = "", *, status: int | None = None) -> None:
        self.code = code
        self.text = _WORDS[code].format(detail=detail)
        self.status = status or _STATUS.get(code, 400 if code == 50014 else 200)
        super().__init__(f"{code} {self.text}")

    def body(self) -> dict[str, object]:
        """The body of an answer to a request that is refused as a whole."""
        return {"code": str(self.code), "msg": self.text, "data": []}
