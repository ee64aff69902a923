"""The handles and the lobby: what programs hold, on every engine that can be opened without a service."""
