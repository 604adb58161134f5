"""What an engine process is given for a venue of templates/venues, as the orchestrator renders it, with made-up credentials."""

import json
from typing import Any

from flotilla.engine_sidecar.link.frames import Run
from flotilla.schemas.session import EnginePlan
from tests.engine_processes import ROOT

FOLDER = ROOT / "templates/venues"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))
PRIVATE_KEY = "0x" + "11" * 32
WALLET = "0x" + "22" * 20
SECRETS: dict[str, str] = {
    "api_key": "made-up-key",
    "api_secret": "bWFkZS11cC1zZWNyZXQ=",
    "api_passphrase": "made-up-passphrase",
    "passphrase": "made-up-passphrase",
    "private_key": PRIVATE_KEY,
    "funder": WALLET,
    "username": "made-up-user",
    "password": "made-up-password",
    "app_key": "made-up-app",
}
GIVEN: dict[str, dict[str, Any]] = {
    "betfair": {"account_currency": "GBP", "instrument_config": {"account_currency": "GBP"}},
    "tardis": {"base_url_ws": "ws://127.0.0.1:8001"},
}
# A databento key is looked at when the client is made.
KEYS = {"databento": {"api_key": "db-" + "1" * 29}}


def venue(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def run_of_venue(name: str, mode: str, **given: Any) -> Run:
    """A plan as the orchestrator renders it, with made-up credentials."""
    file, client = venue(name), name.upper()
    sides = [side for side in ("data", "execution") if file[side]]
    configs = {side: file["defaults"][side] | (file[mode] or {}).get(side, {}) | given for side in sides}
    if file["account_field"]:
        configs["execution"][file["account_field"]] = "U1234567"
    node: dict[str, Any] = {
        "environment": "live",
        "logging": {"log_level": "ERROR"},
        "data_clients": {
            client: {
                "path": file["data"]["path"],
                "factory": {"path": file["data"]["factory"]},
                "config": configs["data"],
            }
        },
    }
    factories = {}
    if file["execution"]:
        node["exec_clients"] = {client: {"path": file["execution"]["path"], "config": configs["execution"]}}
        factories = {client: file["execution"]["factory"]}
    else:
        node["exec_clients"] = {
            "SIM": {
                "path": "engine_sidecar.replay.sandbox:SandboxClientConfig",
                "config": {"venue": "SIM", "starting_balances": ["1000 USD"]},
            }
        }
        factories = {"SIM": "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"}
    secret = {field: SECRETS[field] for field in file["credentials"]} | KEYS.get(name, {})
    return Run(
        instance_id="engine-1",
        session_id="session-1",
        plan=EnginePlan(
            trader_id="ENGINE-001",
            node=node,
            exec_factories=factories,
            secrets={client: "mine"} if secret else {},
        ),
        catalog_path="/nonexistent",
        log_level="ERROR",
        stop_timeout_s=1.0,
        secrets={"mine": secret},
    )
