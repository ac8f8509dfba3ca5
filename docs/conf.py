"""The site: `make site` builds it from docs/, the notebooks, the docstrings, CONTRIBUTING.md and CHANGELOG.md."""

import re
import shutil
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

import autodiff

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

# The notebooks stand in a folder of their own; Sphinx reads what lies below its own.
shutil.rmtree(DOCS / "notebooks", ignore_errors=True)
(DOCS / "notebooks").mkdir()
for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
    shutil.copy(notebook, DOCS / "notebooks")

project = "autodiff"
author = "the autodiff authors"
copyright = author
version = release = autodiff.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
templates_path: list[str] = []
exclude_patterns: list[str] = []

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # [a part](page.md#a-part) leads there, as it does where the text is read as it stands
nb_execution_mode = "off"  # a notebook is shown with the outputs that are kept in it
nb_merge_streams = True

default_role = "literal"  # in a docstring `axis` is code
autodoc_typehints = "none"  # the sections of a docstring say more: shapes, and what is allowed
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_param = False  # a type is a phrase ("array_like of int"), not a link
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]  # one list, as parameters are
toc_object_entries_show_parents = "hide"
python_display_short_literal_types = True

nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r".*"),  # types of attributes are phrases as well; functions, methods and errors must be found
    ("py:mod", r"autodiff\..*"),  # rooms inside, which have no page
]

html_math_renderer = "mathml"  # below: browsers draw it themselves, without a script or a network
html_theme = "furo"
html_title = "autodiff"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def setup(app):
    """Links out of docs/ lead to where the site has the page."""

    def source_read(app, docname, source):
        up = "../" * docname.count("/")
        for given, meant in ((f"{up}../CONTRIBUTING.md", "contributing.md"), (f"{up}../CHANGELOG.md", "changes.md"),
                             (f"{up}../notebooks/", f"{up}notebooks/")):  # fmt: skip
            source[0] = source[0].replace(f"]({given}", f"]({up if meant.endswith('.md') else ''}{meant}")

        if docname == "errors":  # what the docstrings of functions link to
            head = r"### \1\n\n```{eval-rst}\n.. py:exception:: autodiff.errors.\1\n   :no-contents-entry:\n```\n"
            source[0] = re.sub(r"^### (\w+)\n", head, source[0], flags=re.MULTILINE)
        if docname == "disagreements":  # made by a command, and eleven columns wide
            source[0] = "---\nhide-toc: true\n---\n\n" + source[0]
        if docname == "notebooks" and not list((DOCS / "notebooks").iterdir()):
            source[0] = source[0].partition("```{toctree}")[0]  # a tree without notebooks can be built

    def skip_member(app, what, name, thing, skip, options):
        return True if name.endswith("_hook") else None  # what one room fills in another

    def formula(as_block):
        def visit(translator, node):
            text = node.astext().replace(r"\dots", r"\ldots")  # which docutils knows
            try:
                translator.body.append(tex2mathml(text, as_block=as_block))
            except MathError as error:
                logging.getLogger(__name__).warning(f"{error}: {text}", location=node)
            raise nodes.SkipNode

        return visit, None

    app.add_html_math_renderer("mathml", inline_renderers=formula(False), block_renderers=formula(True))
    app.connect("source-read", source_read)
    app.connect("autodoc-skip-member", skip_member)
