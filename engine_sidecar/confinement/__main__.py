"""`python -m flotilla.engine_sidecar.confinement`: prints as JSON what this kernel has to keep engines from their sidecars."""

import sys

import msgspec

from flotilla.engine_sidecar.confinement.confine import KernelLocks


def main() -> None:
    """Prints {landlock_abi, is_enough, shortcoming} and exits 0, whatever they are."""
    locks = KernelLocks.offered()
    said = {
        "landlock_abi": locks.landlock_abi,
        "is_enough": locks.is_enough,
        "shortcoming": locks.shortcoming,
    }
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")


if __name__ == "__main__":
    main()
