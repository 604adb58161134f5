"""How a gateway is set up, from FLOTILLA_* environment variables; tokens stand in a file, never here."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from flotilla.schemas.environment import (
    HTTP_CONNECTIONS,
    HTTP_HOST,
    HTTP_METRICS_ENGINES,
    HTTP_METRICS_OPEN,
    HTTP_NAMES,
    HTTP_ORIGINS,
    HTTP_PORT,
    HTTP_PUSH,
    HTTP_RATE,
    LOG_LEVEL,
    MAX_STREAMS,
    TOKENS_FILE,
    state_folder,
)


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway. Port 0 takes any free one; `origins` are the web origins whose pages may call us, none by default, `names` the
    hosts that clients may call us by, besides localhost and addresses.

    `connections` are those that one address may hold, `rate` the requests a second of one token, `failures` those without a good
    token that one address may make in a minute. A request must have come whole within `request_s`, first its head and then its
    body; who takes nothing of an answer for `answer_s` is cut. `pushes`: administrators push and remove packages.
    `metrics_engines` have series of their own for Prometheus, at most; `metrics_open`: anybody may read them.

    `stream_backlog` is how many events a slow client may be behind before it is told of a gap, `stream_write_timeout_s` how
    long it may take nothing at all before it is dropped.
    """

    tokens_file: Path
    host: str
    port: int
    origins: tuple[str, ...]
    names: frozenset[str]
    rate: float
    connections: int
    max_streams: int
    metrics_engines: int
    metrics_open: bool
    pushes: bool
    log_level: str
    stream_backlog: int = 1_000
    stream_write_timeout_s: float = 20.0
    keepalive_s: float = 15.0
    failures: int = 30
    request_s: float = 10.0
    answer_s: float = 60.0

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Raises ValueError that names the variable at fault."""
        host = HTTP_HOST.read(env)
        return cls(
            tokens_file=TOKENS_FILE.given(env) or state_folder(env) / "tokens.jsonl",
            host=host,
            port=HTTP_PORT.read(env),
            origins=HTTP_ORIGINS.given(env) or (),
            names=frozenset((host.lower(), *(HTTP_NAMES.given(env) or ()))),
            rate=HTTP_RATE.read(env),
            connections=HTTP_CONNECTIONS.read(env),
            max_streams=MAX_STREAMS.read(env),
            metrics_engines=HTTP_METRICS_ENGINES.read(env),
            metrics_open=HTTP_METRICS_OPEN.read(env),
            pushes=HTTP_PUSH.read(env),
            log_level=LOG_LEVEL.read(env),
        )
