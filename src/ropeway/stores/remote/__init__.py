"""The engine http: and https: - the store of a ropeway server, over its own connection. All verbs, from any host, with nothing else."""

from .store import RemoteStore

__all__ = ["RemoteStore"]
