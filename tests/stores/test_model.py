"""The engines against the model, over random lives of jobs.

The same short ones each time; ROPEWAY_MODEL_EXAMPLES=2000 plays that many new ones, ROPEWAY_MODEL_SHRINK=1 looks for the shortest that
fails (minutes).
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from ropeway.testing.model import DirectoryEngine, MemoryEngine, StoreMachine

pytestmark = pytest.mark.timeout(900)  # it is all computing: slow on a busy machine, and never stuck
EXAMPLES = os.environ.get("ROPEWAY_MODEL_EXAMPLES", "")
LIVES = settings(
    max_examples=int(EXAMPLES or 80),
    stateful_step_count=40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink) if os.environ.get("ROPEWAY_MODEL_SHRINK") else (Phase.generate,),
)


class DirectoryMachine(StoreMachine):
    make = DirectoryEngine


class MemoryMachine(StoreMachine):
    make = MemoryEngine


TestDirectory = DirectoryMachine.TestCase
TestDirectory.settings = LIVES
TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(LIVES, max_examples=30)
