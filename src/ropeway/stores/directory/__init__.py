"""The directory engine: a queue that is a folder. Any number of processes and hosts, no daemon, safe against crashes."""

from .store import DirectoryStore

__all__ = ["DirectoryStore"]
