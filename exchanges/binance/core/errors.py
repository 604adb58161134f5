"""The venue's refusals, with its own codes and words."""

_WORDS = {
    -1000: "An unknown error occurred while processing the request.",
    -1003: "Too many requests; current limit is {detail}. Please use the websocket for live updates to avoid polling the API.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1015: "Too many new orders; current limit is {detail}.",
    -1016: "This service is no longer available.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in parameter '{detail}'.",
    -1102: "Mandatory parameter '{detail}' was not sent, was empty/null, or malformed.",
    -1106: "Parameter '{detail}' sent when not required.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '{detail}' is not valid.",
    -2007: "Invalid callBack rate.",
    -2010: "NEW_ORDER_REJECTED",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2019: "Margin is insufficient.",
    -2020: "Unable to fill.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2025: "Reach max open order limit.",
    -2027: "Exceeded the maximum allowable position at current leverage.",
    -4001: "Price less than 0.",
    -4002: "Price greater than max price.",
    -4003: "Quantity less than or equal to zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4006: "Stop price less than 0.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id length should not be more than 36 chars.",
    -4016: "Limit price can't be higher than {detail}.",
    -4021: "Invalid depth limit.",
    -4023: "Qty not increased by step size.",
    -4024: "Limit price can't be lower than {detail}.",
    -4028: "Leverage {detail} is not valid.",
    -4046: "No need to change margin type.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4059: "No need to change position side.",
    -4061: "Order's position side does not match user's setting.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4082: "Invalid number of batch place orders.",
    -4116: "ClientOrderId is duplicated.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4140: "Invalid symbol status for opening position.",
    -4141: "Symbol is closed.",
    -4164: "Order's notional must be no smaller than {detail} (unless you choose reduce only).",
    -4165: "Invalid time interval.",
    -5021: "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in the order history.",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be recorded in the order history.",
    -5027: "No need to modify the order.",
    -5040: "Invalid goodTillDate.",
}
_STATUS = {-1003: 429, -1015: 429, -1008: 503, -1016: 503, -2014: 401, -2015: 401}


class VenueError(Exception):
    """A refusal: the venue's `code`, its words, and the HTTP status that they come with."""

    def __init__(
        self,
        code: int,
        detail: object = "",
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.code = code
        self.text = _WORDS[code].format(detail=detail)
        self.status = status or _STATUS.get(code, 400)
        self.headers = headers or {}
        super().__init__(f"{code} {self.text}")

    def body(self) -> dict[str, object]:
        """The body of the answer."""
        return {"code": self.code, "msg": self.text}
