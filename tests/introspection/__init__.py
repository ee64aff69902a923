"""The introspection page, in front of real processes."""
