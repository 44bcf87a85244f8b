"""How the documentation is built: ``python -m sphinx -W docs site``.

Sphinx reads the docstrings as they are written (numpy style, reStructuredText), and MyST the pages,
which are plain Markdown that any viewer of repositories shows as well. What is generated from the
schema, the command line and the docstrings is brought up to date as the pages are read; nothing is
written here (``python docs/generated.py`` does that).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generated
from pygments.lexers.special import TextLexer

import poq_abm

project = "poq_abm"
author = "The poq_abm founders"
copyright = "The poq_abm founders, Apache-2.0"
release = poq_abm.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # links such as results.md#trust
exclude_patterns = ["_build", "site"]
html_theme = "furo"
html_title = f"poq_abm {release}"
html_show_sourcelink = False

autodoc_typehints = "none"  # signatures carry them
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False


def setup(app):
    """Fill the pages that are generated."""
    app.connect("source-read", generated.fill)
    app.add_lexer("csv", TextLexer)  # viewers of repositories colour it, Pygments does not know it
