"""The client without asyncio, for notebooks and scripts."""

from flotilla.client.sync import SyncFlotilla

__all__ = ["SyncFlotilla"]
