"""Tests of top: keys and pages without a terminal, and the whole of it on a real pseudo-terminal."""
