"""Tests of what surrounds tasks: registries, middleware, hooks, codecs, the executor, and the kit for tests."""
