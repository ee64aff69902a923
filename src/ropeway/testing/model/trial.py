"""The model test on trial: a fault is planted around an engine, and the machine must find it."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ..faults import plant
from .engine import Engine, EngineFactory, MemoryEngine
from .machine import StoreMachine

LIVES = settings(
    max_examples=1000,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)
"""The same thousand lives each time, ended by the first finding; each fault of FAULTS takes a few dozen."""


def finding(fault: str, make: EngineFactory = MemoryEngine, lives: settings = LIVES) -> str:
    """What the machine says of this engine with the fault planted; "" when the fault survives all these lives."""

    def planted() -> Engine:
        engine = make()
        opened = engine.open
        engine.open = lambda clock: plant(fault, opened(clock))  # type: ignore[method-assign]
        return engine

    class Machine(StoreMachine):
        pass

    Machine.make = staticmethod(planted)
    try:
        run_state_machine_as_test(Machine, settings=lives)
    except AssertionError as error:
        return str(error) or "a difference that has no words"
    return ""
