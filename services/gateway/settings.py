"""How a gateway is set up, from FLOTILLA_* environment variables; tokens stand in a file, never here."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

import msgspec
from msgspec import Meta

_VARIABLES: Final = {
    "host": "FLOTILLA_HTTP_HOST",
    "port": "FLOTILLA_HTTP_PORT",
    "origins": "FLOTILLA_HTTP_ORIGINS",
    "tokens_file": "FLOTILLA_TOKENS_FILE",
    "max_streams": "FLOTILLA_MAX_STREAMS",
    "log_level": "FLOTILLA_LOG_LEVEL",
}
_ORIGIN = re.compile(r"\Ahttps?://[A-Za-z0-9.\[\]:-]{1,260}\Z")


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway. Port 0 takes any free one; `origins` are the web origins whose pages may call us, none by default.

    `stream_backlog` is how many events a slow client may be behind before it is told of a gap, `stream_write_timeout_s` how
    long it may take nothing at all before it is dropped.
    """

    tokens_file: Path
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8001
    origins: tuple[str, ...] = ()
    max_streams: Annotated[int, Meta(ge=1, le=100_000)] = 500
    stream_backlog: int = 1_000
    stream_write_timeout_s: float = 20.0
    keepalive_s: float = 15.0
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        for origin in self.origins:
            if not _ORIGIN.match(origin):
                raise ValueError(
                    f"FLOTILLA_HTTP_ORIGINS: {origin!r} is no origin such as https://desk.example"
                )

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        state = Path(env.get("FLOTILLA_STATE") or Path(env.get("HOME", "/")) / ".local/state/flotilla")
        values: dict[str, Any] = {"tokens_file": state / "tokens.jsonl"}
        for field, variable in _VARIABLES.items():
            if text := env.get(variable):
                values[field] = _read(cls, field, variable, text)
        return cls(**values)


def _read(settings: type[GatewaySettings], field: str, variable: str, text: str) -> object:
    if field == "origins":
        return tuple(origin.strip() for origin in text.split(",") if origin.strip())
    wanted = next(known.type for known in msgspec.structs.fields(settings) if known.name == field)
    try:
        return Path(text) if wanted is Path else msgspec.convert(text, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{variable} {text!r}: {error}") from None
