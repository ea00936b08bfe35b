"""Histories of any size for measuring checkers: valid, or with one planted anomaly.

Simulated clients act on one object in memory. Each operation is invoked, takes effect at once,
and is answered, in three steps between which the others go on, so that about two thirds of the
clients have an operation in flight. What is in flight in the end is drained. `crashed` is the share
of operations that are never answered, of which half took effect. The same arguments always give the
same history.

    python bench/histories.py append 100000 --clients 10 --seed 1 > append.jsonl
"""

import argparse
import heapq
import json
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

Event = tuple[int, str, str, Any, Any]
"""Process, type, function, value, result."""


class Object:
    """What the clients act on: `ask` draws what to do, `act` does it and answers (type, value).

    `process` is the client that asks or acts, `left` how many operations are still to be asked;
    `result` is what the last `act` answered besides.
    """

    process = 0
    left = 0
    result: Any = None

    def __init__(self, rng: random.Random, keys: int) -> None:
        self.rng, self.keys = rng, keys
        self.fresh = 0
        self.next_read = 16

    def ask(self) -> tuple[str, Any]:
        raise NotImplementedError

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        raise NotImplementedError

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        """An answer that is wrong, or None where this operation cannot carry one."""
        return None

    def new(self) -> int:
        """A number that was never drawn before."""
        self.fresh += 1
        return self.fresh

    def looks(self) -> bool:
        """Whether to look at everything now: ever rarer, and in the end."""
        if self.fresh >= self.next_read or not self.left:
            self.next_read *= 2
            return True
        return False


class CasRegister(Object):
    """Reads, writes and cas of small values; with one key the values stand alone."""

    VALUES = 5
    functions = ("read", "read", "write", "cas")

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.state: dict[int, Any] = dict.fromkeys(range(keys))

    def draw(self) -> Any:
        return self.rng.randrange(self.VALUES)

    def ask(self) -> tuple[str, Any]:
        key, f = self.rng.randrange(self.keys), self.rng.choice(self.functions)
        value = None if f == "read" else self.draw() if f == "write" else [self.draw(), self.draw()]
        return f, [key, value]

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        key, asked = value
        if f == "read":
            return "ok", [key, self.state[key]]
        if f == "write":
            self.state[key] = asked
            return "ok", value
        if self.state[key] != asked[0]:
            return "fail", value
        self.state[key] = asked[1]
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [asked[0], self.VALUES + 1] if f == "read" and value[1] is not None else None


class UniqueRegister(CasRegister):
    """Reads and writes in equal parts; no value is written twice."""

    functions = ("read", "write")

    def draw(self) -> int:
        return self.new()

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [asked[0], 1] if f == "read" and value[1] is not None else None


class Set(Object):
    """Unique elements added, and whole-set reads, ever rarer as the set grows."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.elements: list[int] = []

    def ask(self) -> tuple[str, Any]:
        return ("read", None) if self.looks() else ("add", self.new())

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "read":
            return "ok", list(self.elements)
        self.elements.append(value)
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return value[1:] if f == "read" and len(value) > 100 else None


class Elements(Object):
    """Elements added, looked for and removed again one by one."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.elements: set[int] = set()

    def ask(self) -> tuple[str, Any]:
        if self.rng.random() < 0.4:
            return "add", self.new()
        f = self.rng.choice(("contains", "contains", "remove"))
        return f, max(1, self.fresh - self.rng.randrange(100))

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "add":
            self.elements.add(value)
        elif f == "remove":
            self.elements.discard(value)
        else:
            self.result = value in self.elements
        return "ok", value


class Queue(Object):
    """Unique elements enqueued and dequeued first in, first out; drained in the end if told."""

    puts, takes = "enqueue", "dequeue"
    drains = False

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.waiting: deque[int] = deque()

    def ask(self) -> tuple[str, Any]:
        if self.drains and not self.left:
            return "drain", None
        if self.rng.random() < 0.5:
            return self.takes, None
        return self.puts, self.new()

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == self.puts:
            self.put(value)
            return "ok", value
        if f == "drain":
            return "ok", [self.take() for _ in range(len(self.waiting))]
        return ("ok", self.take()) if self.waiting else ("fail", None)

    def put(self, value: int) -> None:
        self.waiting.append(value)

    def take(self) -> int:
        return self.waiting.popleft()

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return 1 if f == self.takes and value > 100 else None


class DrainedQueue(Queue):
    """The same, drained in the end."""

    drains = True


class Bag(Queue):
    """Elements come out in any order."""

    def take(self) -> int:
        self.waiting.rotate(self.rng.randrange(8))
        return self.waiting.popleft()


class Stack(Queue):
    """Last in, first out."""

    puts, takes = "push", "pop"

    def take(self) -> int:
        return self.waiting.pop()


class PriorityQueue(Queue):
    """The greatest first."""

    puts, takes = "insert", "poll"

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.heap: list[int] = []

    def new(self) -> int:
        return self.fresh * 7919 % 1_000_003 if super().new() else 0

    def put(self, value: int) -> None:
        self.waiting.append(value)
        heapq.heappush(self.heap, -value)

    def take(self) -> int:
        self.waiting.pop()
        return -heapq.heappop(self.heap)

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return -1 if f == self.takes else None


class Counter(Object):
    """Adds of 1 to 5, and reads."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.sums = [0] * keys

    def ask(self) -> tuple[str, Any]:
        key = self.rng.randrange(self.keys)
        return ("read", [key, None]) if self.rng.random() < 0.3 else ("add", [key, 1])

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        key, asked = value
        if f == "add":
            self.sums[key] += asked
            return "ok", value
        return "ok", [key, self.sums[key]]

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [asked[0], value[1] // 2] if f == "read" and value[1] > 1000 else None


class Bank(Object):
    """Transfers between eight accounts of 100 each, and reads of all of them."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.balances = dict.fromkeys((str(i) for i in range(8)), 100)

    def ask(self) -> tuple[str, Any]:
        if self.rng.random() < 0.5:
            return "read", None
        source, target = self.rng.sample(sorted(self.balances), 2)
        return "transfer", {"from": source, "to": target, "amount": self.rng.randint(1, 5)}

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "read":
            return "ok", dict(self.balances)
        if self.balances[value["from"]] < value["amount"]:
            return "fail", value
        self.balances[value["from"]] -= value["amount"]
        self.balances[value["to"]] += value["amount"]
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return {**value, "0": value["0"] + 1} if f == "read" else None


class Names(Object):
    """Names claimed, each by one or two, and whole reads of who has which."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.owners: dict[int, int] = {}

    def ask(self) -> tuple[str, Any]:
        if self.looks():
            return "read", None
        name = self.fresh if self.fresh and self.rng.random() < 0.2 else self.new()
        return "claim", [name, self.process]

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "read":
            return "ok", [[name, owner] for name, owner in self.owners.items()]
        taken = value[0] in self.owners
        self.owners.setdefault(*value)
        return "fail" if taken else "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return value[1:] if f == "read" and len(value) > 100 else None


class Ids(Object):
    """Identifiers handed out."""

    def ask(self) -> tuple[str, Any]:
        return "generate", None

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        return "ok", self.new()

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return 1


class Ledger(Object):
    """Requests executed once each, and whole reads of their entries."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.entries: list[list[int]] = []

    def ask(self) -> tuple[str, Any]:
        return ("read", None) if self.looks() else ("execute", [self.new(), self.fresh % 97])

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "read":
            return "ok", list(self.entries)
        self.entries.append(value)
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return value[1:] if f == "read" and len(value) > 100 else None


class Sessions(Object):
    """Each process writes growing numbers to a key of its own; all read every key."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.state: dict[int, int] = {}

    def ask(self) -> tuple[str, Any]:
        if self.rng.random() < 0.5:
            return "write", [self.process, self.new()]
        return "read", [self.rng.randrange(10), None]

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "read":
            return "ok", [value[0], self.state.get(value[0])]
        self.state[value[0]] = value[1]
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [value[0], None] if f == "read" and value[0] == self.process and value[1] else None


class Forks(Object):
    """Keys written once each, and reads of the last ten."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.state: set[int] = set()

    def ask(self) -> tuple[str, Any]:
        if self.rng.random() < 0.3:
            return "write", [["w", self.new(), 1]]
        begin = self.fresh // 10 * 10
        return "read", [["r", key, None] for key in range(begin + 1, begin + 11)]

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "write":
            self.state.add(value[0][1])
            return "ok", value
        return "ok", [["r", key, 1 if key in self.state else None] for _, key, _ in value]

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [["r", key, 2 if seen else None] for _, key, seen in value] if f == "read" else None


class Shifts(Object):
    """Members of groups who leave while another stays, and join again; the groups are read."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.groups = {group: {"a", "b"} for group in range(keys)}

    def ask(self) -> tuple[str, Any]:
        f, group = self.rng.choice(("join", "leave", "read")), self.rng.randrange(self.keys)
        return f, [group, None if f == "read" else self.rng.choice("ab")]

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        members = self.groups[value[0]]
        if f == "read":
            return "ok", [value[0], sorted(members)]
        if f == "join":
            members.add(value[1])
        elif members == {value[1]}:
            return "fail", value
        else:
            members.discard(value[1])
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [value[0], []] if f == "read" else None


class Locks(Object):
    """Locks by name, each acquired, and released by whoever acquired it."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.holder: dict[str, int] = {}
        self.next: dict[int, list[tuple[str, Any]]] = {}

    def ask(self) -> tuple[str, Any]:
        todo = self.next.setdefault(self.process, [])
        return todo.pop(0) if todo else ("acquire", f"lock-{self.rng.randrange(self.keys)}")

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "release":
            del self.holder[value]
        elif self.holder.setdefault(value, self.process) != self.process:
            return "fail", value
        else:
            self.next[self.process] += self.held(value)
        return "ok", value

    def held(self, name: str) -> list[tuple[str, Any]]:
        """What a holder does."""
        return [("release", name)]


class GuardedLocks(Locks):
    """Who holds a lock reads what it guards, and writes it."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.guarded: dict[str, int] = {}

    def held(self, name: str) -> list[tuple[str, Any]]:
        write = ("guard-write", [name, self.new()])
        return [("guard-read", [name, None]), write, ("release", name)]

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "guard-read":
            return "ok", [value[0], self.guarded.get(value[0])]
        if f == "guard-write":
            self.guarded[value[0]] = value[1]
            return "ok", value
        return super().act(f, value)

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [value[0], None] if f == "guard-read" and value[1] else None


class Admission(Object):
    """Users let in with a ticket each, at most five at once, who leave again."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.inside: set[int] = set()
        self.tickets: dict[int, int] = {}

    def ask(self) -> tuple[str, Any]:
        if self.process in self.tickets:
            return "leave", self.tickets.pop(self.process)
        return "enter", self.new()

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "leave":
            self.inside.discard(value)
            return "ok", value
        if len(self.inside) >= 5:
            return "fail", value
        self.inside.add(value)
        self.tickets[self.process] = self.result = value
        return "ok", value


class Limited(Object):
    """Each of many users is let in ten times."""

    def ask(self) -> tuple[str, Any]:
        return "allow", self.new() // 10

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        return "ok", value


class Visitors(Object):
    """Visits of some users, and estimates of how many there were."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.users: set[int] = set()

    def ask(self) -> tuple[str, Any]:
        if self.rng.random() < 0.1:
            return "estimate", None
        return "visit", self.rng.randrange(max(1, self.new() // 2))

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "estimate":
            return "ok", len(self.users)
        self.users.add(value)
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return value * 2 if f == "estimate" and value > 100 else None


class Transactions(Object):
    """Transactions of one to four micro-operations over keys that are retired when full."""

    PER_KEY = 32
    READ, WRITE = "r", "append"

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.active = list(range(keys))
        self.writes = dict.fromkeys(self.active, 0)
        self.state: dict[int, Any] = {}
        self.next_key = keys

    def ask(self) -> tuple[str, Any]:
        return "txn", [self.draw() for _ in range(self.rng.randint(1, 4))]

    def draw(self) -> list[Any]:
        at = min(int(self.rng.expovariate(0.5)), self.keys - 1)
        key = self.active[at]
        if self.rng.random() < 0.5:
            return [self.READ, key, None]
        self.writes[key] += 1
        if self.writes[key] == self.PER_KEY:
            self.active[at] = self.next_key
            self.writes[self.next_key] = 0
            self.next_key += 1
        return [self.WRITE, key, self.writes[key]]

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if self.rng.random() < 0.02:
            return "fail", value
        return "ok", [self.one(*mop) for mop in value]

    def one(self, f: str, key: int, value: Any) -> list[Any]:
        if f == self.READ:
            return [f, key, list(self.state.get(key, ()))]
        self.state.setdefault(key, []).append(value)
        return [f, key, value]

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        if len(value) == 1 and value[0][0] == self.READ and value[0][2]:
            return [[self.READ, value[0][1], value[0][2][:-1]]]
        return None


class RegisterTransactions(Transactions):
    """The same with registers."""

    READ, WRITE = "r", "w"

    def one(self, f: str, key: int, value: Any) -> list[Any]:
        if f == self.READ:
            return [f, key, self.state.get(key)]
        self.state[key] = value
        return [f, key, value]

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        single = len(value) == 1 and value[0][0] == self.READ
        return [[self.READ, value[0][1], 1]] if single and (value[0][2] or 0) > 5 else None


OBJECTS: dict[str, Callable[[random.Random, int], Object]] = {
    "cas-register": CasRegister,
    "unique-register": UniqueRegister,
    "set": Set,
    "elements": Elements,
    "queue": Queue,
    "drained-queue": DrainedQueue,
    "bag": Bag,
    "stack": Stack,
    "priority-queue": PriorityQueue,
    "counter": Counter,
    "bank": Bank,
    "unique": Names,
    "ids": Ids,
    "ledger": Ledger,
    "session": Sessions,
    "long-fork": Forks,
    "constraint": Shifts,
    "locks": Locks,
    "guarded-locks": GuardedLocks,
    "admission": Admission,
    "rate-limit": Limited,
    "estimate": Visitors,
    "append": Transactions,
    "wr": RegisterTransactions,
}


def history(
    kind: str,
    operations: int,
    *,
    clients: int = 10,
    keys: int = 1,
    crashed: float = 0.0,
    planted: bool = False,
    seed: int = 1,
) -> Iterator[Event]:
    """The events of a history with so many operations, in order."""
    rng = random.Random(f"{kind} {seed}")
    thing = OBJECTS[kind](rng, keys)
    process = list(range(clients))
    doing: list[tuple[str, Any, Any] | None] = [None] * clients
    busy = set(range(clients))
    asked, spoil_from = 0, operations // 2 if planted else operations + 1
    while busy:
        slot = rng.randrange(clients)
        if slot not in busy:
            continue
        now = doing[slot]
        if now is None:
            if asked == operations:
                busy.discard(slot)
                continue
            asked += 1
            thing.process, thing.left = process[slot], operations - asked
            f, value = thing.ask()
            doing[slot] = (f, value, None)
            yield process[slot], "invoke", f, value, None
            continue
        f, value, answer = now
        crash = answer is None and rng.random() < crashed
        if answer is None and not (crash and rng.random() < 0.5):
            thing.process, thing.result = process[slot], None
            answer = (*thing.act(f, value), thing.result)
            if asked > spoil_from and answer[0] == "ok":
                spoiled = thing.spoil(f, value, answer[1])
                if spoiled is not None:
                    answer, spoil_from = ("ok", spoiled, answer[2]), operations + 1
            doing[slot] = (f, value, answer)
        elif not crash:
            doing[slot] = None
            kind_of_end, said, result = answer
            yield process[slot], kind_of_end, f, said, result
        if crash:
            doing[slot] = None
            yield process[slot], "info", f, value, None
            process[slot] += clients


def lines(events: Iterator[Event]) -> Iterator[str]:
    """The events as JSONL, a microsecond apart."""
    for index, (process, kind, f, value, result) in enumerate(events):
        op = {"index": index, "time": index * 1000, "process": process, "type": kind, "f": f}
        if value is not None:
            op["value"] = value
        if result is not None:
            op["result"] = result
        yield json.dumps(op, separators=(",", ":")) + "\n"


def main() -> None:
    """Print a history."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=OBJECTS)
    parser.add_argument("operations", type=int)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--crashed", type=float, default=0.0)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    asked = vars(parser.parse_args())
    sys.stdout.writelines(lines(history(asked.pop("kind"), asked.pop("operations"), **asked)))


if __name__ == "__main__":
    main()
