"""How the documentation is built: `make docs`, or `sphinx-build docs OUTPUT`. Warnings are errors there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
# The commands' parsers and the docstrings are read from the code itself.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")

import django  # noqa: E402 - settings first

import django_momento  # noqa: E402 - found by the path above

django.setup()

project = "django-momento"
version = release = django_momento.__version__
html_title = "django-momento"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "accessible",
    "code_reference",
    "monitoring_reference",
]
exclude_patterns = ["_ext", "_static"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Quotation marks and ellipses, but no dashes: arguments of commands begin with two hyphens.
smartquotes_action = "qe"
# A docstring's single backticks are code.
default_role = "code"
add_module_names = False
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints = "none"

# Furo ships its styles, and uses the fonts of the reader's system: a page asks no other server for anything.
html_theme = "furo"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
