"""How the site is built from these pages: `make site`."""

from dokkaebi import __version__

project = "Dokkaebi"
release = version = __version__
extensions = ["myst_parser"]
exclude_patterns = ["examples", "tutorial/index.md"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Dokkaebi"
html_show_copyright = html_show_sphinx = html_copy_source = False
