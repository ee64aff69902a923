"""Calls and awaited ends, over every engine."""
