"""Sequential specifications that ship with the checker, and what a model may tell beyond `step`.

A user's own model needs only `init` and `step` (harness.protocols.Model). Optional members make
the search faster or the report plainer; none of them may change what is legal:

* `partition(operations, keyed)`: yields (key, operations) that can be judged apart (Herlihy &
  Wing's locality; P-compositionality, Horn & Kroening 2015);
* `reads`: functions that never change any state, so that they may be placed eagerly;
* `refusals`: functions whose refusal (fail with error "refused") is an observation; `step` sees
  such an operation with type "fail", and it changes no state;
* `signature(operation)`: all that `step` looks at (never the times); equal signatures are
  interchangeable;
* `tell(operation)`: what the operation claims, in words after "Process 3";
* `shown(state)`: the state as JSON.
"""

from __future__ import annotations

from collections.abc import Callable

from ...harness.protocols import Model
from .collections import FifoQueue, PriorityQueue, Set, Stack, UnorderedQueue
from .counters import Counter
from .locks import FencedMutex, Mutex, OwnerMutex, Semaphore
from .registers import CasRegister, MultiRegister, Register

__all__ = [
    "MODELS", "CasRegister", "Counter", "FencedMutex", "FifoQueue", "MultiRegister", "Mutex",
    "OwnerMutex", "PriorityQueue", "Register", "Semaphore", "Set", "Stack", "UnorderedQueue",
]  # fmt: skip

MODELS: dict[str, Callable[..., Model]] = {
    "register": Register,
    "cas-register": CasRegister,
    "multi-register": MultiRegister,
    "mutex": Mutex,
    "owner-mutex": OwnerMutex,
    "fenced-mutex": FencedMutex,
    "semaphore": Semaphore,
    "set": Set,
    "fifo-queue": FifoQueue,
    "unordered-queue": UnorderedQueue,
    "stack": Stack,
    "priority-queue": PriorityQueue,
    "counter": Counter,
}
"""The models by the name that `--model` takes; their arguments are what `--param` gives."""
