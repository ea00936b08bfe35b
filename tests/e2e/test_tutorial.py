"""The pages of the tutorial are true: each is followed from its first line to its last."""

from pathlib import Path

import pytest
from pages import Typed, follow, steps

import dokkaebi

TUTORIAL = Path(dokkaebi.__file__).parent.resolve() / "docs" / "tutorial"


@pytest.mark.parametrize("page", sorted(path.stem for path in TUTORIAL.glob("*.md")))
def test_what_the_page_says_comes_true(page, tmp_path):
    text = (TUTORIAL / f"{page}.md").read_text()
    assert page == "index" or any(isinstance(step, Typed) and step.shown for step in steps(text))
    follow(text, tmp_path)


def test_a_page_that_says_what_is_not_so_is_caught(tmp_path):
    follow("```console\n$ echo one two\none ...\n$ echo $?\n0\n```\n", tmp_path)
    with pytest.raises(AssertionError, match="lacks 'three'"):
        follow("```console\n$ echo one two\nthree\n```\n", tmp_path)
    with pytest.raises(AssertionError, match="lacks '1'"):
        follow("```console\n$ true\n$ echo $?\n1\n```\n", tmp_path)
