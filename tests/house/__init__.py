"""The rules of the house, as tests: what imports what, what is exported, how large a room may be, what the documentation must hold."""
