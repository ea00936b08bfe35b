"""Histories of any size for measuring checkers: valid, or with one planted anomaly.

Simulated clients act on one object in memory. Each operation is invoked, takes effect at once,
and is answered, in three steps between which the others go on, so that about two thirds of the
clients have an operation in flight. What is in flight in the end is drained. `crashed` is the share
of operations that are never answered, of which half took effect. The same arguments always give the
same history.

    python bench/histories.py append 100000 --clients 10 --seed 1 > append.jsonl
"""

import argparse
import json
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

Event = tuple[int, str, str, Any]
"""Process, type, function, value."""


class Object:
    """What the clients act on: `ask` draws what to do, `act` does it and answers (type, value)."""

    stale: Any = None
    """What a planted anomaly answers instead, once; None until there is something to answer."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        self.rng, self.keys = rng, keys
        self.fresh = 0

    def ask(self) -> tuple[str, Any]:
        raise NotImplementedError

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        raise NotImplementedError

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        """An answer that is wrong, or None where this operation cannot carry one."""
        return None


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
        self.fresh += 1
        return self.fresh

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return [asked[0], 1] if f == "read" and value[1] is not None else None


class Set(Object):
    """Unique elements added, and whole-set reads, ever rarer as the set grows."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.elements: list[int] = []
        self.next_read = 16

    def ask(self) -> tuple[str, Any]:
        if self.fresh >= self.next_read:
            self.next_read *= 2
            return "read", None
        self.fresh += 1
        return "add", self.fresh

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "read":
            return "ok", list(self.elements)
        self.elements.append(value)
        return "ok", value

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return value[1:] if f == "read" and len(value) > 100 else None


class Queue(Object):
    """Unique elements enqueued and dequeued first in, first out."""

    def __init__(self, rng: random.Random, keys: int) -> None:
        super().__init__(rng, keys)
        self.waiting: deque[int] = deque()

    def ask(self) -> tuple[str, Any]:
        if self.rng.random() < 0.5:
            return "dequeue", None
        self.fresh += 1
        return "enqueue", self.fresh

    def act(self, f: str, value: Any) -> tuple[str, Any]:
        if f == "enqueue":
            self.waiting.append(value)
            return "ok", value
        return ("ok", self.waiting.popleft()) if self.waiting else ("fail", None)

    def spoil(self, f: str, asked: Any, value: Any) -> Any:
        return 1 if f == "dequeue" and value > 100 else None


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
    """Transfers between eight accounts, and reads of all of them."""

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
    "queue": Queue,
    "counter": Counter,
    "bank": Bank,
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
            f, value = thing.ask()
            doing[slot] = (f, value, None)
            yield process[slot], "invoke", f, value
            continue
        f, value, answer = now
        crash = answer is None and rng.random() < crashed
        if answer is None and not (crash and rng.random() < 0.5):
            answer = thing.act(f, value)
            if asked > spoil_from and answer[0] == "ok":
                spoiled = thing.spoil(f, value, answer[1])
                if spoiled is not None:
                    answer, spoil_from = ("ok", spoiled), operations + 1
            doing[slot] = (f, value, answer)
        elif not crash:
            doing[slot] = None
            yield process[slot], answer[0], f, answer[1]
        if crash:
            doing[slot] = None
            yield process[slot], "info", f, value
            process[slot] += clients


def lines(events: Iterator[Event]) -> Iterator[str]:
    """The events as JSONL, a microsecond apart."""
    for index, (process, kind, f, value) in enumerate(events):
        op = {"index": index, "time": index * 1000, "process": process, "type": kind, "f": f}
        if value is not None:
            op["value"] = value
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
