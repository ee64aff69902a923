"""Tests of why: each situation planted for real, and named."""
