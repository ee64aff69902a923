"""The contract suite: every sentence of store.py as a test, for any engine. It needs pytest.

    from ropeway.testing.contract import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def open(self, tmp_path):
            return lambda clock: MyStore(tmp_path, clock)

What an engine lacks it declares in its `features`; then the tests of that feature must end in Unsupported. `Harness` has the few
attributes by which engines may differ beyond that.
"""

from __future__ import annotations

import pytest

_PARTS = (
    "bodies",
    "bringing",
    "bringing_again",
    "claiming",
    "editing",
    "ends",
    "harness",
    "joining",
    "keys",
    "lacking",
    "lanes",
    "limits",
    "living",
    "looking",
    "operating",
    "putting",
    "settling",
    "topics",
    "topics_between",
    "waiting",
    "waiting_threads",
)
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from .bodies import Bodies  # noqa: E402 - after the line that makes their failures readable
from .bringing import Bringing  # noqa: E402
from .bringing_again import BringingAgain  # noqa: E402
from .claiming import Claiming  # noqa: E402
from .editing import Editing  # noqa: E402
from .ends import Ends  # noqa: E402
from .harness import Caller, Harness, Open  # noqa: E402
from .joining import Joining  # noqa: E402
from .keeping import Keeping  # noqa: E402
from .keys import Keys  # noqa: E402
from .lacking import Lacking  # noqa: E402
from .lanes import Lanes  # noqa: E402
from .leasing import Leasing  # noqa: E402
from .limits import Dropping, Limiting  # noqa: E402
from .living import Commits, Facts, Living  # noqa: E402
from .looking import Looking  # noqa: E402
from .operating import Operating, Switches  # noqa: E402
from .putting import Putting  # noqa: E402
from .settling import Settling  # noqa: E402
from .topics import Topics  # noqa: E402
from .topics_between import TopicsBetween  # noqa: E402
from .waiting import Waiting  # noqa: E402
from .waiting_threads import WaitingThreads  # noqa: E402

__all__ = ["Caller", "Harness", "Open", "StoreContract"]


class StoreContract(
    Putting,
    Bodies,
    Bringing,
    BringingAgain,
    Claiming,
    Leasing,
    Settling,
    Keeping,
    Keys,
    Looking,
    Operating,
    Switches,
    Lanes,
    Limiting,
    Dropping,
    Editing,
    Waiting,
    WaitingThreads,
    Ends,
    Commits,
    Joining,
    Facts,
    Topics,
    TopicsBetween,
    Living,
    Lacking,
):
    """The whole contract. Subclass it with a name that begins with Test, and give the fixture `open`."""
