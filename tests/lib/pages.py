"""Pages whose commands are run: their files written, their commands typed, their output looked for.

A block whose first line is a comment with a file's name is that file. A `console` block is what is
typed after `$` and what must be seen then: its lines, in which `...` stands for anything.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_NAME = re.compile(r"(?:#|;+) ([\w-]+\.\w+)\n")
_INSTALL = "pip install --editable ."
SECONDS = 120


@dataclass(frozen=True)
class Typed:
    """A command and the lines that must be seen."""

    command: str
    shown: tuple[str, ...]


def steps(page):
    """The files (name, text) and the commands of a page, in order."""
    for language, text in BLOCK.findall(page):
        if named := _NAME.match(text):
            yield named[1], text
        elif language == "console":
            for each in re.split(r"^\$ ", text, flags=re.M)[1:]:
                command, _, shown = each.partition("\n")
                yield Typed(command, tuple(line for line in shown.splitlines() if line.strip()))


def files(page):
    """The files (name, text) of a page."""
    return [step for step in steps(page) if not isinstance(step, Typed)]


def follow(page, folder):
    """Do everything that a page says, in an empty folder; an AssertionError says what is not so."""
    shell = Shell(folder)
    for step in steps(page):
        if isinstance(step, Typed):
            shell.type(step)
        else:
            name, text = step
            (folder / name).write_text(text)


class Shell:
    """Types commands in a folder; what is installed there stays there."""

    def __init__(self, folder):
        self._folder = folder
        self.code = 0
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{folder}/installed",
            "COLUMNS": "200",
        }

    def type(self, typed):
        if typed.command == "echo $?":
            seen = str(self.code)
        else:
            seen = self.run(typed.command)
        words = " ".join(seen.split())
        if typed.command == _INSTALL:
            assert self.code == 0, seen
        for line in typed.shown:
            parts = map(re.escape, map(str.strip, re.split(r"\.\.\.", line)))
            pattern = ".*".join(" ".join(part.replace(r"\ ", " ").split()) for part in parts)
            assert re.search(pattern, words), f"$ {typed.command}\nlacks {line!r}:\n{seen}"

    def run(self, command):
        """What a command prints; `code` is then its exit code."""
        if command == _INSTALL:
            command = (
                f"{sys.executable} -m pip install --quiet --disable-pip-version-check --no-deps "
                f"--target {self._folder}/installed . && echo installed"
            )
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        self.code = done.returncode
        return done.stdout + done.stderr
