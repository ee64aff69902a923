"""How Sphinx builds this documentation: Markdown by myst-parser, the Python reference out of the docstrings."""

from __future__ import annotations

import ropeway
import ropeway.tasks.putting
import ropeway.tasks.task

# Named in an annotation there, and imported for type checkers alone, since the two rooms know each other.
ropeway.tasks.putting.Task = ropeway.tasks.task.Task  # type: ignore[attr-defined]

project = "ropeway"
author = "the ropeway authors"
copyright = "the ropeway authors"
version = release = ropeway.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
default_role = "code"  # single back-ticks in docstrings
smartquotes = False
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"ropeway {release}"
html_show_sourcelink = False
html_copy_source = False
pygments_style = "default"
