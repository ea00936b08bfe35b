"""The pages that are drawn from the code are up to date; no page names what is not there."""

import json
import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

import dokkaebi
from dokkaebi.cli import main

ROOT = Path(dokkaebi.__file__).parent.resolve()


def test_the_page_of_strategies_is_what_the_code_says():
    command = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_anomaly_has_an_example_and_its_command_finds_it(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.chdir(ROOT)
    import anomaly_pages
    import example_histories
    import workload_pages

    from dokkaebi.checkers.anomalies import ANOMALIES
    from dokkaebi.harness.plugins import registered

    lacking = [name for name in ANOMALIES if anomaly_pages.example_of(name) is None]
    assert lacking == ["G2", "oversell"]  # no checker sees predicates, or stock that is sold
    names = {path.stem for path in (ROOT / "docs/examples").glob("*.jsonl")}
    assert names | set(lacking) <= ANOMALIES.keys() | set(registered("workloads"))
    assert example_histories.options().keys() <= names
    for name in names:
        said = CliRunner().invoke(main, [*example_histories.arguments(name), "--json"])
        found = [each["type"] for each in json.loads(said.stdout)["anomalies"]]
        bare = {each.removesuffix("-process").removesuffix("-realtime") for each in found}
        assert name not in ANOMALIES or name in bare
        assert len(found) == (2 if name in ("cyclic-versions", "dirty-update") else 1), found
    for workload in registered("workloads"):
        judged = example_histories.judge(workload_pages.EXAMPLES[workload])
        assert workload in judged.result.checkers or judged.history.meta["workload"] == workload


def test_every_strategy_that_the_readme_names_exists():
    from dokkaebi.harness.plugins import strategies

    named = re.findall(r"dokkaebi run (\w+) --strategy ([\w-]+)", (ROOT / "README.md").read_text())
    assert len(named) >= 8
    for workload, name in named:
        assert f"{workload}/{name}" in strategies()


def test_the_suite_of_the_readme_is_one(tmp_path):
    from dokkaebi.suite.cases import load_suite

    (written,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "dokkaebi-suite.toml"
    file.write_text(written)
    lock = 'workload = "lock"\n    needs = ("valkey",)\n'
    methods = "".join(
        f"    def {name}(self, *given): ...\n" for name in ("open", "acquire", "release")
    )
    (tmp_path / "mylock.py").write_text(f"class MyLock:\n    {lock}{methods}")
    cells = [cell.name for cell in load_suite(file).cells]
    assert cells == ["orders/none", "orders/kill", "orders/pause", "teeth: naive lock/pause-client"]


def parts_that_no_language_changes(name):
    """Rows, commands, links, headings by their depth, and blocks without their comments."""
    text = (ROOT / name).read_text()
    blocks = [
        re.sub(r" *#[^\n]*", "", block) for block in re.findall(r"```.*?```", text, re.DOTALL)
    ]
    return {
        "rows": re.findall(r"^\| ([A-Z][\w, ]*) \|", text, re.MULTILINE),
        "commands": re.findall(
            r"`dokkaebi [^`]*`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        ),
        "links": [each for each in re.findall(r"\]\(([^)]*)\)", text) if "README" not in each],
        "headings": re.findall(r"^(#+) ", text, re.MULTILINE),
        "blocks": blocks,
    }


def test_the_korean_readme_says_what_the_english_one_says():
    english, korean = map(parts_that_no_language_changes, ("README.md", "README.ko.md"))
    for part, told in english.items():
        if part == "commands":
            assert sorted(told) == sorted(korean[part])
        else:
            assert told == korean[part], part


def test_links_in_the_pages_lead_somewhere():
    for page in [
        ROOT / "README.md",
        ROOT / "README.ko.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
