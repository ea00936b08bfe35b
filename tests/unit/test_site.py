"""The pages make a site: every link leads somewhere, and every page is reached."""

import os
import subprocess
import sys
from pathlib import Path

import dokkaebi

DOCS = Path(dokkaebi.__file__).parent.resolve() / "docs"


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, tmp_path / "site"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 0, done.stderr
    made = {page.relative_to(tmp_path / "site") for page in (tmp_path / "site").rglob("*.html")}
    wanted = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    # The tutorial's own list of its pages is for readers of the repository.
    assert {str(page) for page in wanted - made} == {"tutorial/index.html"}
