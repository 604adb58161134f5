"""Where the secret store of this machine is, for the CLI and for the stack that it starts."""

from pathlib import Path

from flotilla.bus.secret_store import SecretStore
from flotilla.schemas.environment import SECRETS, SECRETS_KEY_FILE
from flotilla.state.folder import StateFolder


def secret_folder(folder: StateFolder) -> Path:
    """FLOTILLA_SECRETS, else the one in the state folder."""
    return SECRETS.given() or folder.secrets


def secret_key_file(folder: StateFolder) -> Path:
    """FLOTILLA_SECRETS_KEY_FILE, else the one in the state folder."""
    return SECRETS_KEY_FILE.given() or folder.secret_key_file


def secret_store(folder: StateFolder) -> SecretStore:
    """The store of a state folder. Nothing is made before a secret is."""
    return SecretStore(secret_folder(folder), secret_key_file(folder))
