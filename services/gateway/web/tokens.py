"""Makes tokens: `python -m flotilla.services.gateway.web.tokens <file> <name> <role>` prints a new one and keeps its digest in the file."""

import secrets
import sys
from pathlib import Path

import msgspec

from flotilla.bus.files import write_whole
from flotilla.services.gateway.web.auth import Role, TokenRecord, digest, read_tokens


def create_token(path: Path, name: str, role: Role) -> str:
    """A new token for `name`, which replaces the one it had; the text is returned once and kept nowhere.

    The file is written anew with mode 0600 and put in place in one step, on disk. Raises ValueError for a name that is no id, OSError
    when the file cannot be written.
    """
    token = secrets.token_urlsafe(32)
    record = msgspec.convert(
        {"name": name, "role": str(role), "sha256": digest(token)}, TokenRecord, strict=True
    )
    kept = [known for known in read_tokens(path) if known.name != name]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, b"".join(msgspec.json.encode(one) + b"\n" for one in (*kept, record)))
    return token


def main(argv: list[str]) -> int:
    """The command line; returns the exit code."""
    if len(argv) != 3 or argv[2] not in list(Role):
        print(
            f"usage: python -m flotilla.services.gateway.web.tokens <file> <name> <{'|'.join(Role)}>",
            file=sys.stderr,
        )
        return 2
    try:
        print(create_token(Path(argv[0]), argv[1], Role(argv[2])))
    except (ValueError, OSError) as error:
        print(f"no token was made: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
