"""Prints the OpenAPI document: what the dashboard's types are made from."""

import sys
from importlib.metadata import version

import msgspec

from flotilla.services.gateway.docs.openapi import document
from flotilla.services.gateway.routes.table import ROUTES

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(document(ROUTES, version("flotilla"))))
