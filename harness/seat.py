"""One process id's client: the strategy's instance, its connections, its session.

A seat opens, carries out single operations, settles and closes; when what is asked, and what
happens at a deadline, is its turn's business (`lane`).
"""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import CoroutineType
from typing import Any

from .context import Context
from .errors import UsageError
from .history import Phase
from .journal import Segment
from .loading import load_object, load_strategy
from .orders import WorkerConfig
from .outcomes import classify
from .protocols import Answer, Ask, Client, ClientOptions, Script, Session, Workload
from .trace import TraceFile, Tracer


class Shop:
    """What the workers of one process share: the files, the strategy's class, the workload."""

    def __init__(self, config: WorkerConfig, workload: Workload, segment: Segment) -> None:
        self.config = config
        self.workload = workload
        self.segment = segment
        self.trace = TraceFile(Path(config.trace))
        # The drivers first: a file of the user's may be called like one of them.
        self.factories: Mapping[str, Callable[..., Any]] = {
            spec.backend: load_object(spec.factory) for spec in config.clients
        }
        self.strategy = load_strategy(config.strategy, keep_path=True)
        self.asynchronous = any(
            inspect.iscoroutinefunction(getattr(self.strategy, name, None))
            for name in (*workload.methods, "open", "setup", "guarded")
        )
        self.point: Callable[[int, str], None] = lambda process, name: None
        self.stopping = threading.Event()
        self.unopened: dict[str, int] = {}
        """Why clients could not be opened, and how often."""

    def clock(self) -> int:
        """Nanoseconds since the start of the run."""
        return time.monotonic_ns() - self.config.epoch_ns

    def script(self, phase: Phase, worker: int, process: int) -> Script:
        """What one process is to ask in a phase; a function of (seed, worker, incarnation)."""
        if phase == "dry":
            return self.workload.dry()
        if phase == "final":
            return self.workload.final(worker, self.config.workers)
        incarnation = process // self.config.workers
        rng = random.Random(f"{self.config.seed}/{worker}/{incarnation}")
        return self.workload.main(rng, process)


class Seat:
    """One process id's client: the strategy's instance, its connections, its session."""

    def __init__(self, shop: Shop, worker: int, process: int) -> None:
        self.shop = shop
        self.worker = worker
        self.process = process
        self.tracer = Tracer(epoch_ns=shop.config.epoch_ns)
        self.tracer.process = process
        self.clients: list[Client] = []
        self.session: Session | None = None
        self.strategy: Any = None
        self.error: BaseException | None = None
        """What the last operation raised."""
        self.context: Context | None = None
        self._options: ClientOptions | None = None
        self._nodes: dict[tuple[str, str], Any] = {}
        self._loop = asyncio.new_event_loop() if shop.asynchronous else None

    def open(self) -> None:
        """Open the clients, then the strategy, then the session; may raise anything."""
        config, shop = self.shop.config, self.shop
        self._options = ClientOptions(
            tracer=self.tracer,
            asynchronous=shop.asynchronous,
            autocommit=getattr(shop.strategy, "autocommit", None),
            timeout_s=config.op_timeout / 1e9,
        )
        handles = {}
        for spec in config.clients:
            handles[spec.backend] = self._opened(spec.backend, spec.arguments)
        self.context = Context(
            worker=self.worker,
            rng=random.Random(f"{config.seed}/ctx/{self.process}"),
            initial=shop.workload.initial(),
            params=config.params,
            isolation=config.isolation,
            clients=handles,
            dsns={spec.backend: spec.dsn for spec in config.clients},
            resource=config.resource,
            point=lambda name: shop.point(self.process, name),
            node=self._node,
        )
        self.strategy = shop.strategy()
        self.settled(self.strategy.open(self.context))
        self.session = shop.workload.session(self.strategy, self.context)

    def _opened(self, backend: str, arguments: Mapping[str, Any]) -> Any:
        """A new client's handle; what it does is accounted to the operations from now on."""
        client = self.settled(self.shop.factories[backend](arguments, self._options))
        self.clients.append(client)
        return client.handle

    def _node(self, backend: str, role: str, index: int) -> Any:
        """What `ctx.node` gives: one connection a node, whatever it is asked for as."""
        spec = next((each for each in self.shop.config.clients if each.backend == backend), None)
        if spec is None:
            raise UsageError(f"ctx.node({backend!r}, ...): the strategy does not need {backend}")
        try:
            node = spec.node(role, index)
        except LookupError as error:
            raise UsageError(str(error)) from None
        if (backend, node.name) not in self._nodes:
            self._nodes[backend, node.name] = self._opened(backend, node.arguments)
        return self._nodes[backend, node.name]

    def settled(self, value: Any) -> Any:
        """The value, awaited if it is awaitable."""
        if self._loop is None:
            if type(value) is CoroutineType:
                value.close()
                raise TypeError(
                    "a plain method answered a coroutine: declare the workload's methods async"
                )
        elif isinstance(value, Awaitable):
            return self._loop.run_until_complete(_awaited(value))
        return value

    def commit(self) -> None:
        """Commit what `setup` or `teardown` left open, as a caller of theirs would expect."""
        for client in self.clients:
            if client.left_open() and hasattr(client.handle, "commit"):
                self.settled(client.handle.commit())

    def rest(self, seconds: float) -> None:
        """Wait; a coroutine strategy's own tasks run meanwhile."""
        if self._loop is not None:
            self._loop.run_until_complete(asyncio.sleep(seconds))
        elif seconds > 0:
            time.sleep(seconds)

    def call(self, ask: Ask) -> Answer:
        """Carry one operation out; whatever happens, an answer."""
        session, context = self.session, self.context
        if session is None or context is None:
            raise RuntimeError("the seat is not open")
        self.error = None
        try:
            return session.answer(ask, self.settled(session.call(ask)))
        except BaseException as error:  # sys.exit() in user code ends the operation, not the worker
            self.error = error
            return classify(
                error,
                self.clients,
                untraced=context.untraced,
                single_transaction=bool(getattr(self.strategy, "single_transaction", False)),
            )

    def settle(self) -> bool:
        """Roll back what the operation left open; whether every client can be used again."""
        try:
            for client in self.clients:
                self.settled(client.settle())
        except Exception:
            return False
        return True

    def shutdown(self) -> None:
        """Free whoever waits on one of the sockets; called from another thread."""
        for client in list(self.clients):
            try:
                client.shutdown()
            except Exception:  # it may be closing at this very moment
                continue

    def close(self) -> None:
        """Close strategy, session and clients; what fails to close is gone anyway."""
        closers: list[Callable[[], Any]] = [client.close for client in self.clients]
        if self.session is not None:
            closers.insert(0, self.session.close)
        if self.strategy is not None and hasattr(self.strategy, "close"):
            closers.insert(0, self.strategy.close)
        for closer in closers:
            try:
                self.settled(closer())
            except Exception:
                continue
        self.shop.trace.write(self.tracer)
        if self._loop is not None:
            self._loop.close()


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
