"""Imported first of all by programs of ours that speak on the bus and serve no HTTP: the websockets of nats-py need aiohttp, which it
imports where it is installed: 11 MB, and half of the time that a program needs to start. In a user's own program it is not done:
their code may use both."""

import sys

sys.modules.setdefault("aiohttp", None)  # type: ignore[arg-type]
