"""Lives in each engine container: forks the NautilusTrader process, watches it, and speaks for it on the bus."""

from flotilla.engine_sidecar.public_names import serve_public_names

serve_public_names()
