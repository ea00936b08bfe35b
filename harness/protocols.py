"""What workloads, strategies, backends, faults, models and checkers must be able to do.

Behaviour stands behind small protocols; optional powers of a backend are protocols of their own.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Generator, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import msgspec
import psutil

from .context import Context
from .history import Completion, History, Operation
from .trace import Tracer
from .verdict import Verdict

# --- what is asked -------------------------------------------------------------------------------


class Ask(msgspec.Struct, frozen=True):
    """An operation that a generator wants carried out.

    `hint` is what the session needs to know and the history does not.
    """

    f: str
    value: Any = None
    ext: dict[str, Any] | None = None
    hint: Any = None


class Rest(msgspec.Struct, frozen=True):
    """A pause that a generator takes between operations, in seconds."""

    seconds: float


class Further(msgspec.Struct, frozen=True):
    """A second operation that the same call carried out after the first had completed."""

    ask: Ask
    call: int
    answer: Answer


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation ended: the completion that is written into the history.

    `value` is None where the completion repeats the invocation's. `time` (monotonic ns) says when
    it ended, if that was before the call returned; `then` is what the same call did afterwards.
    """

    type: Completion
    value: Any = None
    result: Any = None
    error: str | None = None
    ext: dict[str, Any] | None = None
    attempts: int | None = None
    time: int | None = None
    then: Further | None = None


Script = Generator[Ask | Rest, Answer, None]
"""Yields what to do next and is sent how it ended: one worker's stream of operations."""


class Session(Protocol):
    """One client's way of carrying out a workload's operations; opened and closed with the client."""

    def call(self, ask: Ask) -> Any | Awaitable[Any]:
        """Carry the operation out; what it returns or raises is judged by `answer` or the rules."""

    def answer(self, ask: Ask, returned: Any) -> Answer:
        """Turn what `call` returned into a completion; raise TypeError for what makes no sense."""

    def ended(self, ask: Ask, answer: Answer) -> Answer:
        """Add what else this call did (`Answer.then`); `answer` may come from an exception."""

    def close(self) -> None:
        """Let go of what the session itself opened."""


class Workload(Protocol):
    """What is asked and what would be wrong; made from its parameters alone.

    A workload is a frozen `msgspec.Struct` whose fields are its parameters, so that
    `--param name=value` is checked against them.
    """

    name: ClassVar[str]
    functions: ClassVar[frozenset[str]]
    """The `f` of its operations."""
    methods: ClassVar[tuple[str, ...]]
    """What a strategy must implement."""
    levels: ClassVar[tuple[str, ...]]
    """The consistency levels that may be demanded of it, the default first."""
    traits: ClassVar[tuple[str, ...]]
    """Class attributes of a strategy that are parameters of the workload."""
    default: ClassVar[str]
    """The plainest safe strategy's name; empty where none is built in."""
    strategies: ClassVar[Mapping[str, str]]
    """Name -> `module:Class` of the built-in strategies."""
    resource: ClassVar[str | None]
    """A module to run as a server of its own beside the workers (`python -m`), or None."""
    coverage: ClassVar[str]
    """Which floors a pass needs: `contended`, `lock` or `single`."""

    def initial(self) -> Mapping[Any, Any]:
        """The keys that `setup` creates, with their initial values; the dry run's keys too."""

    def dry(self) -> Script:
        """Each method once, in sequence, before the run."""

    def main(self, rng: random.Random, process: int) -> Script:
        """An endless stream of operations for one process."""

    def final(self, worker: int, workers: int) -> Script:
        """What this worker asks after everything is healed."""

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Open a session for an opened strategy."""

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The checkers that judge a history of this workload."""

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """The key that an operation touches and whether it writes it; None if it touches none."""

    def remedy(self, anomaly: str) -> str:
        """What to change so that this anomaly cannot happen, in the workload's own nouns."""


class Strategy(Protocol):
    """How one workload's operations are carried out on a backend; users write these.

    No base class is needed. Optional members: `setup(ctx)`, `close()`, `teardown(ctx)`,
    `expect`, `anomaly`, `known` (why a safe one may be violated nonetheless), `faults`, `lasts` (seconds that each fault lasts), `isolation`, `autocommit`, `single_transaction`, `lease`,
    `fencing`, `params`.
    """

    workload: str
    needs: Sequence[str]

    def open(self, ctx: Context) -> Any:
        """Keep the clients that the methods use; called once per worker and per reconnect."""


# --- what it runs on -----------------------------------------------------------------------------


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a cluster, as `ctx.node(backend, role, index)` reaches it.

    `role` is what the node was when the run began; `name` is its own (`n1`), and stays with it.
    """

    name: str
    role: str
    arguments: dict[str, Any]
    dsn: str


class ClientSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker process opens clients of one backend: a factory's name and its arguments."""

    backend: str
    factory: str
    """`module:function`, called as `function(arguments, options)` -> `Client`."""
    arguments: dict[str, Any]
    dsn: str
    """What `ctx.dsn(backend)` answers."""
    nodes: tuple[NodeSpec, ...] = ()
    """The nodes of a cluster, each reached by the same factory."""

    def node(self, role: str, index: int) -> NodeSpec:
        """The node that `ctx.node` names; raises LookupError with what there is."""
        there = [node for node in self.nodes if role in (node.role, node.name)]
        if not 0 <= index < len(there):
            roles = ", ".join(f"{node.name} ({node.role})" for node in self.nodes)
            raise LookupError(f"{self.backend} has no {role} {index}: it has {roles or 'no nodes'}")
        return there[index]


class ClientOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the strategy asked of its clients."""

    tracer: Tracer
    asynchronous: bool = False
    autocommit: bool | None = None
    timeout_s: float = 5.0


class Client(Protocol):
    """A real driver's connection that records what it sends and knows what may have been written.

    Methods marked *maybe awaitable* return an awaitable when the client is asynchronous. One that
    can tell has `aborts`, too: how often this operation was refused for what others did at the
    same time, which makes the number of its attempts.
    """

    handle: Any
    """What `ctx.<backend>` gives to the strategy: the driver's own connection object."""
    recorded_in: frozenset[str]
    """The modules through whose frames an error of this connection comes."""
    conn: str | int | None
    """The server's name for this connection (backend pid, client id)."""

    def begin(self) -> None:
        """A new operation starts: forget what the last one did."""

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in the backend's table of definite errors."""

    def may_have_written(self) -> bool:
        """Whether this operation has, outside anything that was rolled back, a write, commit or
        script that was acknowledged or never answered; or lost its connection after sending."""

    def suspicions(self) -> Sequence[str]:
        """What makes an `ok` of this operation suspicious (a COMMIT answered with ROLLBACK ...)."""

    def left_open(self) -> bool:
        """Whether a transaction is open on this connection right now."""

    def settle(self) -> Any:
        """Roll back what the operation left open; True if there was something. *Maybe awaitable.*

        Raises where the connection cannot simply be rolled back."""

    def shutdown(self) -> None:
        """Shut the socket down from another thread: whoever waits on it is freed at once."""

    def close(self) -> Any:
        """Close the connection. *Maybe awaitable.*"""


class Backend(Protocol):
    """A server (or cluster) of one kind: started, reached, emptied between runs, stopped."""

    name: str
    version: str

    def start(self) -> None:
        """Start the server and wait until it answers; raise `Unavailable` or `Broken`."""

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make a fresh place for this run and say how to reach it; read the isolation back."""

    def answers(self) -> bool:
        """Whether the server answers a simple question right now (within half a second)."""

    def sessions(self) -> int:
        """How many of this run's client sessions and open transactions the server still shows."""

    def terminate_sessions(self) -> None:
        """End this run's sessions on the server."""

    def finish(self) -> None:
        """Remove what `prepare` made."""

    def settings(self) -> Mapping[str, str]:
        """The server's settings that differ from its defaults."""

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""


@runtime_checkable
class Processes(Protocol):
    """A backend whose OS processes are ours."""

    def processes(self) -> list[psutil.Process]:
        """All living processes of the server, the parent first."""


@runtime_checkable
class Kill(Processes, Protocol):
    """A backend that can be killed and started again on the same data."""

    def kill(self) -> list[psutil.Process]:
        """SIGKILL every process of the server, children too, until none is left; say which."""

    def restart(self) -> None:
        """Start it again on the same port and data and wait until it answers."""


@runtime_checkable
class Pause(Processes, Protocol):
    """A backend that can be stopped (SIGSTOP) and continued (SIGCONT)."""

    def pause(self) -> list[psutil.Process]:
        """SIGSTOP every process, the parent first, then children until none is new; say which."""

    def resume(self) -> None:
        """SIGCONT every process, children first."""


Pair = tuple[str, str]
"""A direction in which bytes go: from whom, to whom. `CLIENTS` stands for all of them."""

CLIENTS = "clients"

Shape = Literal["primary", "replica", "node", "one-way", "bridge", "halves", "ring", "clients"]
"""How a partition divides the nodes (`nemesis/partitions.py` says what each one is)."""


@runtime_checkable
class Node(Kill, Pause, Protocol):
    """One server of a cluster."""

    name: str

    def answers(self) -> bool:
        """Whether it answers a simple question right now."""

    def role(self) -> str:
        """What it says that it is: `primary`, `replica`, `leader`, ...; `unknown` if it is mute."""


@runtime_checkable
class Cluster(Protocol):
    """A backend of several nodes, whose links are ours to cut."""

    nodes: Sequence[Any]
    """The nodes, in the order of their names."""
    size: int
    """How many nodes it has, or will have when it is started."""
    shapes: tuple[Shape, ...]
    """The partitions that its links can express."""
    ready_s: float
    """How long it may take to be whole again."""

    def primary(self) -> Any:
        """The node that has the say at the moment."""

    def peers(self) -> Sequence[Pair]:
        """The links between nodes, both directions, that can be cut."""

    def cut(self, pairs: Iterable[Pair]) -> None:
        """From now on nothing passes in these directions; connections hang, they do not end."""

    def reconnect(self) -> None:
        """Undo every cut; what hung goes on."""

    def cannot_slow(self) -> str | None:
        """Why its links cannot be made slow; None if they can."""

    def slow(self, pairs: Iterable[Pair], *, delay_s: float, rate: float = 0.0) -> None:
        """From now on what goes in these directions is late, and at most `rate` bytes a second."""

    def held(self) -> Held:
        """What the cuts keep back at the moment."""


class Held(msgspec.Struct, frozen=True):
    """What links keep back: bytes that were sent and do not arrive, connections that hang; how
    many bytes were made late; and where packets are lost, how many were."""

    bytes: int
    connections: int
    slowed: int = 0
    packets: int = 0


@runtime_checkable
class StartAnew(Cluster, Protocol):
    """A cluster that can be started anew without losing what it acknowledged."""

    def start_anew(self) -> None:
        """Start its nodes anew, as operators would where it does not become whole by itself."""


@runtime_checkable
class Promote(Cluster, Protocol):
    """A cluster in which a replica can be made the primary."""

    def promote(self, *, most: bool = True) -> Any:
        """Make the replica that has most (or least) the primary, lead new clients there; say which."""

    def rejoin(self) -> None:
        """Make every node that is no replica of the primary one again, started if it is down."""


@runtime_checkable
class Lag(Cluster, Protocol):
    """A cluster whose replicas can be held back while they go on answering."""

    def hold_back(self, node: Any) -> None:
        """From now on this replica applies nothing new."""

    def let_go(self, node: Any) -> None:
        """It applies what it has, and goes on."""

    def behind(self, node: Any) -> int:
        """How many bytes of the log it has still to apply."""


@runtime_checkable
class SkewClock(Protocol):
    """A server (a node) whose wall clock can be moved, where it was given one of its own."""

    clock: Any
    """What moves it: `clock.shift(seconds)`; None where it has the machine's clock."""

    def now(self) -> float:
        """Its wall clock, in seconds since 1970, as it says itself."""


@runtime_checkable
class PowerLoss(Protocol):
    """A server (a node) whose power can be cut, where it was given a disk of its own."""

    disk: Any
    """Its own disk; None where it has the machine's."""

    def lose_power(self) -> bool:
        """Lose what was not synced, and every process; whether the disk took no write any more."""


Harm = Literal["truncate", "bit-flip"]
"""A file loses what was written last, or one of its bits turns."""


@runtime_checkable
class Spoil(Cluster, Protocol):
    """A cluster that does without a node whose files were damaged (`node.spoilt`).

    Its `restart` makes such a node anew from its peers.
    """

    def cannot_spoil(self) -> str | None:
        """Why no file of a node may be damaged; None if it may."""

    def vulnerable(self, node: Any, harm: Harm) -> Sequence[Path]:
        """Files that hold what the node acknowledged, and in which it should notice such harm.

        The one to damage comes first; a node that still runs has written them out."""

    def start_spoilt(self, node: Any) -> str:
        """Start the node on what it has; what it does then. `Broken` where it does not start."""


Interruption = Literal["terminate", "cancel", "cancel-waits"]
"""Sessions are ended; or their statements are cancelled; or only their waits for a standby are."""


@runtime_checkable
class Interrupt(Protocol):
    """A backend that can end what this run's sessions are at."""

    def interrupt(self, how: Interruption) -> int:
        """Do it to every session that it applies to at the moment; how many that were."""


@runtime_checkable
class Logs(Protocol):
    """A backend that writes a log file of its own."""

    def logs(self) -> list[Path]:
        """The log files."""


# --- what breaks it ------------------------------------------------------------------------------


class Evidence(msgspec.Struct, frozen=True):
    """The proof that a fault took effect, measured, or why there is none."""

    took_effect: bool
    sentence: str


# --- what judges it ------------------------------------------------------------------------------


class Model(Protocol):
    """A sequential specification: pure, with hashable states."""

    def init(self) -> Hashable:
        """The state before any operation."""

    def step(self, state: Any, operation: Operation) -> Iterable[Hashable]:
        """The states that may follow; none when the operation is illegal here.

        Must accept operations whose result is unknown (`operation.type == "info"`)."""


class Checker(Protocol):
    """A pure, deterministic function from a history to a verdict, within a budget of work."""

    name: str

    def check(self, history: History) -> Verdict:
        """Judge; say how many operations were judged."""
