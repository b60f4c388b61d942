"""Configuration of the site, which `sphinx-build -W docs build/docs` builds."""

import sys
from importlib.util import find_spec
from pathlib import Path

import nnth

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "nnth"
author = "The nnth authors"
copyright = author
release = version = nnth.__version__

extensions = [
    "myst_nb",  # pages in Markdown, and the tutorial, which is run
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",  # docstrings in Google style
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",  # {cite:t}`jacot2018` in pages
    "shown_commands",  # runs the commands that pages show
    "citations",  # how they look
    "command_options",  # the options of each command, from the command itself
    "library_cells",  # cells for libraries that are not installed everywhere
    "no_network",
]
exclude_patterns = ["_made"]
smartquotes = False  # they make dashes of options

html_theme = "furo"
html_title = "nnth"
html_static_path = ["_static"]
html_css_files = ["nnth.css"]
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b5a8a",
        "color-brand-content": "#0b5a8a",
        "color-brand-visited": "#0b5a8a",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7cc0ea",
        "color-brand-content": "#7cc0ea",
        "color-brand-visited": "#7cc0ea",
    },
    "navigation_with_keys": True,
}

# MathJax as one file that loads no other: formulas are drawn without a network.
_mathjax = find_spec("sphinx-mathjax-offline")
assert _mathjax is not None
assert _mathjax.origin is not None
html_static_path.append(str(Path(_mathjax.origin).parent / "static" / "mathjax" / "tex-svg.js"))
mathjax_path = "tex-svg.js"

myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 60
nb_execution_in_temp = True  # cells may write files
nb_output_stderr = "error"  # a warning in the tutorial fails the build

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "keys"
bibtex_reference_style = "round"

default_role = "literal"  # code between single backquotes, as docstrings have it
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes as a list: :members: describes no field a second time
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give shapes and ranges
add_module_names = False

copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
