"""The table of features in the docs is what the engines say."""

from __future__ import annotations

from ropeway.store import Feature
from ropeway.testing import features

from .tree import HOME


def test_the_page_is_up_to_date() -> None:
    written = (HOME / "docs" / "reference" / "engines.md").read_text(encoding="utf-8")
    assert written == features.page(), "write it anew: python -m ropeway.testing.features > docs/reference/engines.md"


def test_every_feature_has_its_words() -> None:
    assert features.MEANINGS.keys() == set(Feature)
