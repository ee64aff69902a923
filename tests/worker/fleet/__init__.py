"""Tests of the fleet: presence, orders, pauses, weights, tidying; and real processes under a supervisor."""
