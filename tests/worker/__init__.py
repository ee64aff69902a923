"""Tests of tasks and of the worker that runs them: by hand on a fake clock, in threads, and as processes."""
