"""A run's place on a server or cluster, with clients that record; and waiting for what comes soon."""

import time
from contextlib import contextmanager

from dokkaebi.compose import Servers
from dokkaebi.harness.loading import load_object
from dokkaebi.harness.outcomes import classify
from dokkaebi.harness.protocols import ClientOptions
from dokkaebi.harness.trace import Tracer


class Place:
    """What `prepare` makes, and the clients opened there; asynchronous ones are the caller's."""

    def __init__(self, backend, run_id, isolation=None):
        self.backend = backend
        self.spec = backend.prepare(run_id, isolation=isolation)
        self.tracer = Tracer(epoch_ns=0)
        self.clients = []

    def open(self, *, process=0, node=None, **options):
        """A client, as worker `process` has it; or one of a single node."""
        self.tracer.process = process
        spec = next((each for each in self.spec.nodes if each.name == node), self.spec)
        open_client = load_object(self.spec.factory)
        client = open_client(spec.arguments, ClientOptions(tracer=self.tracer, **options))
        if not options.get("asynchronous"):
            self.clients.append(client)
        return client

    def steps(self):
        """(what was sent, what it got, error) since the last call."""
        return [(row[5], row[7], row[8]) for row in self.tracer.drain()]

    def leave(self):
        """Close the clients and remove the place."""
        for client in self.clients:
            client.close()
        self.backend.finish()


def outcome(client, call):
    """How an operation that raises ends."""
    client.begin()
    try:
        call()
    except Exception as error:
        return classify(error, [client]).type
    return "ok"


def until(true, seconds=15.0):
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


@contextmanager
def lent(household, *backends):
    """Servers that have these backends already, and do not stop them; (name, topology, backend)."""
    servers = Servers(household)
    keys = [(name, "", topology, "local") for name, topology, _ in backends]
    servers._started |= dict(zip(keys, (backend for *_, backend in backends), strict=True))
    try:
        yield servers
    finally:
        for key in keys:
            servers._started.pop(key, None)
        servers.stop()
