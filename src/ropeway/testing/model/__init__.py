"""The model test: Hypothesis plays every verb against the memory engine and an engine under test, and compares them after each step.

    from ropeway.testing.model import Engine, StoreMachine

    class MyEngine(Engine):
        def open(self, clock): ...

    class Machine(StoreMachine):
        make = MyEngine

    TestMyEngine = Machine.TestCase

It needs hypothesis. Where an engine may differ from the model is said in one place, `compare`; what yours needs is said in `Engine`.
"""

from __future__ import annotations

from .engine import DirectoryEngine, Engine, EngineFactory, MemoryEngine
from .machine import StoreMachine
from .trial import LIVES, finding

__all__ = ["LIVES", "DirectoryEngine", "Engine", "EngineFactory", "MemoryEngine", "StoreMachine", "finding"]
