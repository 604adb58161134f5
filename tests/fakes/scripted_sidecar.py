"""The real sidecar, with scripted engines in the place of NautilusTrader."""

import sys

from flotilla.engine_sidecar.__main__ import main

if __name__ == "__main__":
    sys.exit(main((sys.executable, "-m", "tests.fakes.scripted_zygote")))
