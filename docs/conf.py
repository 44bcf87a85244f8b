"""How the documentation is built: ``python -m sphinx -W -D nb_execution_mode=cache docs site``.

Sphinx reads the docstrings as they are written (numpy style, reStructuredText), and MyST the pages,
which are plain Markdown that any viewer of repositories shows as well. What is generated from the
schema, the command line and the docstrings is brought up to date as the pages are read; nothing of
it is written here (``python docs/generated.py`` does that). Notebooks are stored without outputs,
and shown with them where they are executed, which takes a minute or two and is done only when
asked: ``-D nb_execution_mode=cache``, which plays again only what has changed.
"""

import shutil
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

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # links such as results.md#trust
nb_execution_mode = "off"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress
exclude_patterns = ["_build", "site"]
html_theme = "furo"
html_title = f"poq_abm {release}"
html_show_sourcelink = False

autodoc_typehints = "none"  # signatures carry them
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False


def bring_notebooks(_app, _config):
    """Put the notebooks among the pages, their links to pages as they are from there."""
    pages = Path(__file__).parent / "notebooks"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir()
    for book in sorted((pages.parents[1] / "notebooks").glob("*.ipynb")):
        text = book.read_text(encoding="utf-8").replace("](../docs/", "](../")
        (pages / book.name).write_text(text, encoding="utf-8")


def setup(app):
    """Fill the pages that are generated."""
    app.connect("config-inited", bring_notebooks)
    app.connect("source-read", generated.fill)
    app.add_lexer("csv", TextLexer)  # viewers of repositories colour it, Pygments does not know it
