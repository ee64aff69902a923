"""The history of a store."""
