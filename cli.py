"""The front door: click commands, each of which makes a wish, has it composed, and prints.

Heavy rooms are imported inside the commands, so that `dokkaebi --version` answers at once.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .harness.errors import DokkaebiError, StrategyBroken, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from .compose import Run
    from .harness.choosing import Wish
    from .results.live import Progress

SIX = ("demo", "run", "check", "list", "doctor", "heal")
INTERRUPTED = 130


class Duration(click.ParamType):  # type: ignore[type-arg]
    """`500ms`, `30s`, `2m`, as nanoseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; click says what was wrong."""
        if isinstance(value, int):
            return value
        from .harness.spec import parse_duration

        try:
            return parse_duration(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Rate(click.ParamType):  # type: ignore[type-arg]
    """`200/s`, or a bare number, as operations a second."""

    name = "N/s"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it; click says what was wrong."""
        try:
            rate = float(str(value).removesuffix("/s"))
        except ValueError:
            rate = 0.0
        if rate <= 0:
            self.fail(f"a rate reads like 200/s, not {value!r}", param, ctx)
        return rate


class Output:
    """Where a command prints: results to stdout, everything else to stderr."""

    def __init__(
        self, *, as_json: bool, quiet: bool, verbose: int, color: str, progress: Progress, out: Path
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.progress: Progress = "none" if quiet else progress
        self.out = out
        self._color = color

    def console(self, *, stderr: bool = False) -> Console:
        """A rich console that obeys --color, NO_COLOR, CI and TERM."""
        from .results.terminal import make_console

        return make_console(self._color, stderr=stderr or self.as_json)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command takes."""
    options = [
        click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout."),
        click.option("-q", "--quiet", is_flag=True, help="Only the verdict."),
        click.option("-v", "--verbose", count=True, help="More of what goes on."),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="Colour.",
        ),
        click.option(
            "--progress",
            type=click.Choice(["auto", "plain", "none"]),
            default="auto",
            help="How progress is shown.",
        ),
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path("dokkaebi-runs"),
            show_default=True,
            help="The folder of runs.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


class FrontDoor(click.Group):
    """A group whose wrong names list the close ones, and whose errors have our exit codes."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, or say which ones are close."""
        from .harness.plugins import unknown_name

        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(unknown_name("command", name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of ours become a message and their exit code."""
        try:
            return super().invoke(ctx)
        except DokkaebiError as error:
            _tell(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except OSError as error:
            click.echo(f"dokkaebi: {error}", err=True)
            ctx.exit(DokkaebiError.exit_code)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:  # a defect of ours: never to be taken for "violated"
            click.echo("".join(traceback.format_exception(error)), err=True)
            click.echo(f"dokkaebi: the harness broke: {type(error).__name__}: {error}", err=True)
            ctx.exit(DokkaebiError.exit_code)


def _tell(error: DokkaebiError) -> None:
    if isinstance(error, StrategyBroken):
        click.echo("dokkaebi: the strategy broke before the run began", err=True)
        click.echo(error.traceback or str(error), err=True)
        return
    click.echo(f"dokkaebi: {error}", err=True)


@click.group(
    cls=FrontDoor,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "DOKKAEBI"},
)
@click.version_option(__version__, prog_name="dokkaebi")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Fires concurrent operations at real servers, breaks things, and proves what held."""
    ctx.default_map = _configured()
    if ctx.invoked_subcommand is None:
        click.echo("dokkaebi: what consistency did you really get?\n")
        for name in SIX:
            command = main.get_command(ctx, name)
            if command is not None:
                click.echo(f"  dokkaebi {name:<8} {command.get_short_help_str(70)}")
        click.echo("\n  dokkaebi COMMAND --help explains one of them.")


def _configured() -> dict[str, Any]:
    """Defaults from `dokkaebi.toml` or `[tool.dokkaebi]`; the environment and flags win."""
    import tomllib

    for path, keys in (
        (Path("dokkaebi.toml"), ()),
        (Path("pyproject.toml"), ("tool", "dokkaebi")),
    ):
        if not path.is_file():
            continue
        try:
            table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            if path.name == "pyproject.toml":
                continue
            raise UsageError(f"{path}: {error}") from None
        for key in keys:
            table = table.get(key, {})
        if table:
            return _per_command(table)
    return {}


def _per_command(table: dict[str, Any]) -> dict[str, Any]:
    """Top-level settings apply to every command, `[run]` and so on to one."""
    shared = {k.replace("-", "_"): v for k, v in table.items() if not isinstance(v, dict)}
    return {
        name: shared | {k.replace("-", "_"): v for k, v in table.get(name, {}).items()}
        for name in (*SIX, "report", "convert", "diff", "index", "replay", "shrink", "suite")
    }


# --- run -----------------------------------------------------------------------------------------


@main.command()
@click.argument("target", required=False, metavar="[WORKLOAD | FILE.py[:Class]]")
@click.option("--strategy", metavar="NAME", help="A built-in strategy, or FILE.py[:Class].")
@click.option("--on", metavar="BACKEND[@VERSION][:TOPOLOGY]", help="The server to run on.")
@click.option("--isolation", help="The isolation level to ask the database for.")
@click.option("--faults", help="kill, pause, kill-client, pause-client; with commas; or none.")
@click.option("--every", type=Duration(), help="From a healing to the next fault.")
@click.option("--for", "lasts", type=Duration(), help="How long a fault lasts.")
@click.option(
    "--aim",
    type=click.Choice(["holder", "any", "mixed"]),
    default="mixed",
    help="Whom client faults strike.",
)
@click.option("--level", help="The consistency level to demand.")
@click.option("--workers", type=click.IntRange(1, 1000), default=8, show_default=True)
@click.option("--processes", type=click.IntRange(1, 100), default=2, show_default=True)
@click.option("--rate", type=Rate(), help="Operations a second, all workers together.")
@click.option(
    "--time",
    type=Duration(),
    help="How long  [default: 10s, or until every fault had a turn]",
)
@click.option("--keys", type=click.IntRange(1), help="How many keys.")
@click.option("--seed", type=int, default=None, help="What is asked, and when faults are due.")
@click.option(
    "--provider",
    type=click.Choice(["local", "netns", "docker"]),
    default="local",
    help="How nodes of clusters are linked: by proxies, in network namespaces, or in containers.",
)
@click.option("--dsn", multiple=True, metavar="URL", help="A server that already exists.")
@click.option("--op-timeout", type=Duration(), default="5s", show_default=True)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE")
@click.option("--require-progress", is_flag=True, help="Liveness findings are violations.")
@click.option("--open", "open_", is_flag=True, help="Open the report in a browser.")
@common
def run(target: str | None, open_: bool, **options: Any) -> None:
    """Run one test: fire operations, break things, judge the history."""
    if options["provider"] == "netns":
        _become_capable()
    output = _output(options)
    finished = _run(_wish(target, options), output)
    _print(finished, output)
    if open_ and finished.result.folder is not None:
        click.launch(str(finished.result.folder / "report.html"))
    sys.exit(INTERRUPTED if finished.interrupted else finished.result.exit_code)


def _become_capable() -> None:
    """Go on in a user namespace, where a plain user may make network namespaces, if we may not."""
    import os

    from .backends import netns

    if netns.missing() is None and not netns.capable():
        again = [sys.executable, "-P", "-m", "dokkaebi", *sys.argv[1:]]
        command = netns.as_somebody_capable(again)
        os.execv(command[0], command)


def _output(options: dict[str, Any]) -> Output:
    names = ("as_json", "quiet", "verbose", "color", "progress", "out")
    return Output(**{name: options.pop(name) for name in names})


def _wish(target: str | None, options: dict[str, Any]) -> Wish:
    import secrets

    from .harness.choosing import Wish

    faults, params = options.pop("faults"), options.pop("params")
    if options["seed"] is None:
        options["seed"] = secrets.randbelow(10_000)
    return Wish(
        target=target,
        faults=None if faults is None else [f.strip() for f in faults.split(",") if f.strip()],
        params=dict(map(_name_and_value, params)),
        **options,
    )


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--param reads like name=value, not {text!r}")
    return name, value


def _heal() -> None:
    from .harness.heal import heal

    for sentence in heal():
        click.echo(f"dokkaebi: {sentence}", err=True)


@contextmanager
def _servers() -> Iterator[Any]:
    """What a command starts, gone when it ends; first what a dead run left is undone."""
    from .compose import Servers
    from .harness.household import Household

    _heal()
    with Household() as household, Servers(household) as servers:
        yield servers


def _run(wish: Wish, output: Output) -> Run:
    from .compose import run as compose_run
    from .results.live import make_view

    title = wish.strategy or wish.target or "run"
    view = make_view(output.progress, title, console=output.console(stderr=True))
    with _servers() as servers, view:
        return compose_run(wish, servers=servers, out=output.out, view=view)


def _print(finished: Run, output: Output) -> None:
    from .results.terminal import summary

    with _to_whoever_reads():
        if output.as_json:
            click.echo(finished.result.to_json().decode())
            return
        summary(
            finished.result,
            finished.history,
            output.console(),
            remedy=finished.remedy,
            plain=output.quiet,
        )


@contextmanager
def _to_whoever_reads() -> Iterator[None]:
    """Print; a reader who has gone (`| head`) changes nothing, least of all the exit code."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # rich answers a broken pipe with an exit of its own.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- check ---------------------------------------------------------------------------------------


@main.command()
@click.argument("source", metavar="FILE_OR_RUN")
@click.option("--workload", help="Which workload's checkers judge it.")
@click.option("--model", help="Which model's linearizability it is judged for.")
@click.option("--level", help="The consistency level to demand.")
@click.option("--initial", help="The value that registers and counters start with.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE")
@click.option("--budget", type=click.IntRange(1), help="Configurations that a search may visit.")
@common
def check(source: str, params: tuple[str, ...], **options: Any) -> None:
    """Judge a recorded history: ours, Jepsen's EDN, elle-cli's JSON, AWDIT's; a run; or -.

    Files may be packed (.gz, .zst). Without --workload or --model it is said what the operations
    look like.
    """
    from .compose import check_file, check_run, check_run_as
    from .judging import Given
    from .results.live import make_view
    from .results.meter import make_meter
    from .results.store import find_run

    output = _output(options)
    given = Given(params=dict(map(_name_and_value, params)), **options)
    stderr = output.console(stderr=True)
    if source == "-" or Path(source).is_file():
        with make_meter(output.progress, stderr) as meter:
            finished = check_file(source, given, meter=meter)
    elif given != Given():
        folder = find_run(output.out, source)
        with make_meter(output.progress, stderr) as meter:
            finished = check_run_as(folder, given, meter=meter)
    else:
        folder = find_run(output.out, source)
        finished = check_run(folder, view=make_view(output.progress, "check", console=stderr))
    _print(finished, output)
    sys.exit(finished.result.exit_code)


@main.command()
@click.argument("source", metavar="RUN_OR_FILE")
@click.option("--to", "form", type=click.Choice(["edn", "jsonl"]), required=True)
@click.option("-o", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@common
def convert(source: str, form: str, target: Path | None, **options: Any) -> None:
    """Write a history as Jepsen's EDN or as JSONL, to stdout or a file."""
    from .converting import convert as write

    output = _output(options)
    with _to_whoever_reads():
        write(source, form, target, out=output.out, say=lambda text: click.echo(text, err=True))


@main.command()
@click.argument("ref", metavar="[RUN]", required=False)
@common
def report(ref: str | None, **options: Any) -> None:
    """Write a run's HTML report again."""
    from .compose import check_run
    from .results.live import make_view
    from .results.store import find_run

    output = _output(options)
    view = make_view("none", "report", console=output.console(stderr=True))
    finished = check_run(find_run(output.out, ref), view=view)
    click.echo(str(finished.result.folder / "report.html" if finished.result.folder else ""))


@main.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
@common
def index(folder: Path | None, **options: Any) -> None:
    """Write the page of all runs in a folder: a map of cases and faults."""
    from .results.collected import index_runs

    output = _output(options)
    click.echo(str(index_runs(folder or output.out)))


@main.command()
@click.argument("before", metavar="A")
@click.argument("now", metavar="B")
@common
def diff(before: str, now: str, **options: Any) -> None:
    """Compare two runs, or two folders of runs: exit 1 where B has an anomaly that A has not."""
    from .results import comparing

    output = _output(options)
    found = comparing.differences(
        comparing.sides(output.out, before), comparing.sides(output.out, now)
    )
    with _to_whoever_reads():
        if output.as_json:
            click.echo(comparing.as_json(found).decode())
        else:
            for line in comparing.lines(found):
                click.echo(line)
    sys.exit(1 if found.news else 0)


@main.command()
@click.argument("ref", metavar="[RUN]", required=False)
@click.option("--times", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--dsn", multiple=True, metavar="URL", help="The server, if it has a password.")
@common
def replay(ref: str | None, times: int, dsn: tuple[str, ...], **options: Any) -> None:
    """Run the same test again, and count how often it finds the same.

    The seed fixes what is asked and when faults are due, not the operating system's timing.
    """
    import msgspec

    from .failures import replay as replaying
    from .results.store import find_run

    output = _output(options)
    folder = find_run(output.out, ref)
    console = output.console(stderr=True)

    def tell(number: int, outcome: Any) -> None:
        if output.progress != "none":
            console.print(replaying.line_of(number, times, outcome), soft_wrap=True)

    with _servers() as servers:
        done = replaying.replay(folder, times, servers=servers, out=output.out, dsn=dsn, tell=tell)
    if output.as_json:
        document = msgspec.json.encode(replaying.document(done))
        click.echo(msgspec.json.format(document, indent=1).decode())
    else:
        for line in replaying.summary(done):
            click.echo(line)
    sys.exit(done.exit_code)


@main.command()
@click.argument("ref", metavar="[RUN]", required=False)
@click.option("--anomaly", metavar="NAME", help="Which of those that the run found.")
@click.option("--times", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--history-only", is_flag=True, help="Run nothing: only the history is made small.")
@click.option("--dsn", multiple=True, metavar="URL", help="The server, if it has a password.")
@click.option(
    "--to",
    "target",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("tests/anomalies"),
    show_default=True,
    help="The folder of the test.",
)
@common
def shrink(ref: str | None, **options: Any) -> None:
    """Make a violation small: the fewest operations that show it, and a short test that fails.

    The run's folder gets `shrunk.jsonl`; the test is a pytest file that says how often it failed.
    """
    from .failures.command import run_command

    output = _output(options)
    sys.exit(run_command(ref, output, servers=_servers, **options))


# --- suite ---------------------------------------------------------------------------------------


@main.command()
@click.argument(
    "name", metavar="[FILE.toml | catalogue | hermitage]", default="dokkaebi-suite.toml"
)
@click.option("--on", multiple=True, metavar="BACKEND[@VERSION]", help="Of hermitage: on which.")
@click.option("--only", multiple=True, metavar="GLOB", help="Only these cases or cells.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Cells at once  [default: CPUs / 2]")
@click.option("--seeds", type=click.IntRange(1), help="So many seeds for each cell.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--github", is_flag=True, help="Annotations and a step summary (on GitHub: always).")
@click.option("--accept", metavar="CASE:ANOMALY", help="Write a known anomaly into the file.")
@click.option("--reason", help="Why the accepted anomaly is put up with.")
@click.option("--strict-known", is_flag=True, help="Fail where a known anomaly stays away.")
@click.option("--no-skips", is_flag=True, help="Fail where a cell could not run here.")
@click.option("--cluster", metavar="tcp://HOST:PORT", help="Have a Dask cluster run the cells.")
@common
def suite(name: str, **options: Any) -> None:
    """Run many tests and hold each to the verdict that it must get."""
    from .suite.command import run_command

    output = _output(options)
    sys.exit(run_command(name, output, heal=_heal, servers=_servers, **options))


# --- init ----------------------------------------------------------------------------------------


@main.command()
@click.argument("workload", required=False)
@common
def init(workload: str | None, **options: Any) -> None:
    """Write a first strategy of your own, which runs as it stands."""
    from .starting import starters, write_starter

    _output(options)
    if workload is None:
        click.echo("say of which workload: dokkaebi init " + "|".join(starters()))
        return
    target = write_starter(workload, Path())
    click.echo(f"{target} runs as it stands: dokkaebi run {target}")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes the shell complete commands: eval "$(dokkaebi completion bash)"."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is not None:
        click.echo(made(main, {}, "dokkaebi", "_DOKKAEBI_COMPLETE").source())


# --- demo ----------------------------------------------------------------------------------------


@main.command()
@click.option("--seed", type=int, default=1, show_default=True)
@common
def demo(seed: int, **options: Any) -> None:
    """Four short runs: a counter and a lock, each unsafe and then made safe."""
    from .suite.demo import demo as play

    sys.exit(play(seed, _output(options), servers=_servers))


# --- list, doctor, heal --------------------------------------------------------------------------

KINDS = ("workloads", "strategies", "backends", "faults", "models", "levels", "anomalies")


@main.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.argument("name", required=False)
@common
def list_(kind: str | None, name: str | None, **options: Any) -> None:
    """What there is; with a name, one of them explained."""
    from .results.listing import listing

    output = _output(options)
    listing(kind, name, console=output.console(), as_json=output.as_json)


@main.command()
@common
def doctor(**options: Any) -> None:
    """Which servers and powers are found here, and how to get the rest."""
    from .compose import diagnose

    output = _output(options)
    found = diagnose()
    if output.as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
        return
    for line in found:
        sign = "✔" if line["found"] else "✖"
        click.echo(f"{sign} {line['what']:<14} {line['detail']}")


@main.command()
@common
def heal(**options: Any) -> None:
    """Undo what a killed run left: servers, workers, folders."""
    from .harness.heal import heal as undo

    _output(options)
    done = undo()
    for sentence in done:
        click.echo(sentence)
    if not done:
        click.echo("nothing to heal: no dead run left anything")
