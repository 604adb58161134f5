"""The environment of every process that we start, made from a list: nothing else that a user has set reaches it.

What would otherwise come through breaks it with a message that misleads: `http_proxy` stands before the bus, `PGSSLMODE` before
PostgreSQL, a folder `bus/` on PYTHONPATH before ours.
"""

import os
from collections.abc import Mapping
from typing import Final

from flotilla.schemas.environment import STRATEGY_PATH

UMASK: Final = 0o077
"""Of every server and service: what they write is for their owner's eyes only, whatever the user's own umask is."""
_PASSED_ON: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE"),
    *("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
)


def of_server(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a server of others finds: nothing that it could take for a setting."""
    return {"PATH": env.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}


def of_foreign(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a program finds that runs others' code with a key: certificates, and nothing of ours; adapters take keys and proxies from here."""
    certificates = {name: env[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in env}
    return of_server(env) | certificates


def of_program(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a program of ours finds: its place on this machine, FLOTILLA_*, and PYTHONPATH as where strategies are looked for."""
    ours = {name: text for name, text in env.items() if name in _PASSED_ON or name.startswith("FLOTILLA_")}
    if (path := env.get("PYTHONPATH")) and STRATEGY_PATH.given(env) is None:
        ours[STRATEGY_PATH.name] = os.pathsep.join(
            os.path.abspath(one) for one in path.split(os.pathsep) if one
        )
    return ours
