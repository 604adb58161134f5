"""The control of an exchange: verbs over HTTP with JSON, by hand or by a schedule. Its port stays when the venue's is down."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from pathlib import Path

import msgspec
from aiohttp import web

from exchanges.core.faults import Planned

_MOST_DIGITS = 8
_MOST_PLACES = 12


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a verb that needs none."""


class Refused(Exception):
    """A verb that is unknown, malformed, or cannot be done; nothing was."""


class Verb(msgspec.Struct, frozen=True):
    """A verb: the type of its body, what does it, and what it does in words."""

    body: type[msgspec.Struct]
    act: Callable[[msgspec.Struct], object]
    says: str


class Control:
    """The verbs of an exchange."""

    def __init__(self) -> None:
        self._verbs: dict[str, Verb] = {}

    def verb[B: msgspec.Struct](
        self, name: str, body: type[B], act: Callable[[B], object | Awaitable[object]], says: str
    ) -> None:
        """Adds a verb. `act` may raise ValueError or KeyError for what cannot be done."""

        def checked(given: msgspec.Struct) -> object:
            if not isinstance(given, body):
                raise TypeError(f"{name} takes a {body.__name__}")
            return act(given)

        self._verbs[name] = Verb(body, checked, says)

    def help(self) -> dict[str, dict[str, object]]:
        """What each verb does and takes."""
        return {
            name: {"does": verb.says, "takes": _fields(verb.body)}
            for name, verb in sorted(self._verbs.items())
        }

    def read(self, name: str, body: bytes) -> tuple[Verb, msgspec.Struct]:
        """A verb with its body.

        Raises:
            Refused: if there is no such verb, or the body is not one of its.
        """
        verb = self._verbs.get(name)
        if verb is None:
            raise Refused(f"no verb {name!r}; there are {', '.join(sorted(self._verbs))}")
        try:
            given = msgspec.json.decode(body or b"{}", type=verb.body)
        except msgspec.DecodeError as error:
            raise Refused(f"{name}: {error}") from None
        for field in given.__struct_fields__:
            if (problem := _unusable(getattr(given, field))) is not None:
                raise Refused(f"{name}: {field}: {problem}")
        return verb, given

    async def do(self, name: str, body: bytes) -> object:
        """Does a verb, and returns what it found.

        Raises:
            Refused: if it cannot be done.
        """
        verb, given = self.read(name, body)
        try:
            done = verb.act(given)
            return await done if inspect.isawaitable(done) else done
        except KeyError as error:
            raise Refused(f"{name}: there is no {error.args[0]!r}") from None
        except ValueError as error:
            raise Refused(f"{name}: {error}") from None

    async def handle(self, request: web.Request) -> web.Response:
        """`POST /<verb>` with JSON, `GET /<verb>` for those that need nothing, `GET /` for help."""
        name = request.match_info["verb"]
        if not name:
            return web.json_response(self.help())
        try:
            found = await self.do(
                name, await request.read() if request.method == "POST" else _of_query(request)
            )
        except Refused as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.Response(
            body=msgspec.json.encode({} if found is None else found), content_type="application/json"
        )

    def application(self) -> web.Application:
        """The verbs as a web application."""
        app = web.Application()
        app.router.add_route("*", "/{verb:[a-z_]*}", self.handle)
        return app

    def check(self, lines: Iterable[Planned]) -> list[Planned]:
        """The lines of a schedule in the order in which they are due.

        Raises:
            Refused: if one could not be done, by its place.
        """
        checked = list(lines)
        for place, line in enumerate(checked, 1):
            try:
                self.read(line.do, msgspec.json.encode(line.body))
            except Refused as error:
                raise Refused(f"line {place} of the schedule: {error}") from None
        return sorted(checked, key=lambda line: line.at)

    async def run(self, lines: Iterable[Planned], say: Callable[[str], None]) -> None:
        """Does each line of a schedule when it is due, counted from now; what cannot be done then is said and left."""
        clock = asyncio.get_running_loop().time
        start = clock()
        for line in lines:
            await asyncio.sleep(max(0.0, start + line.at - clock()))
            try:
                await self.do(line.do, msgspec.json.encode(line.body))
                say(f"schedule: {line.do} {json.dumps(line.body)}")
            except Refused as error:
                say(f"schedule: {error}")


def set_given(target: object, asked: msgspec.Struct) -> None:
    """Sets on `target` what was given, by the names of the verb's body, and leaves the rest."""
    for name in asked.__struct_fields__:
        if (value := getattr(asked, name)) is not None:
            setattr(target, name, value)


def read_schedule(path: Path) -> list[Planned]:
    """The lines of a schedule file: a JSON array of `{"at": seconds, "do": verb, "body": {…}}`.

    Raises:
        Refused: if the file is none, with the path and the place in it.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Planned])
    except (OSError, msgspec.DecodeError) as error:
        raise Refused(f"{path}: {error}") from None


def _unusable(value: object) -> str | None:
    """What is wrong with a number that no venue has, and that arithmetic of 28 digits does not hold."""
    if not isinstance(value, Decimal | float):
        return None
    number = value if isinstance(value, Decimal) else Decimal(value)
    if not number.is_finite():
        return f"{value} is not a number"
    if number and number.adjusted() > _MOST_DIGITS:
        return f"{value} is not below 1e{_MOST_DIGITS + 1}"
    exponent = number.as_tuple().exponent
    if isinstance(value, Decimal) and isinstance(exponent, int) and exponent < -_MOST_PLACES:
        return f"{value} has more than {_MOST_PLACES} decimals"
    return None


def _of_query(request: web.Request) -> bytes:
    return msgspec.json.encode(
        {name: int(value) if value.isdigit() else value for name, value in request.query.items()}
    )


def _fields(body: type[msgspec.Struct]) -> dict[str, str]:
    return {
        field.name: _type(field.type) + ("" if field.required else ", may be left out")
        for field in msgspec.structs.fields(body)
    }


def _type(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
