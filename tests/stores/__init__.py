"""The engines: each a short caller of the contract suite, and what only it has."""
