"""Just-in-time linearization over numbers (Lowe 2017, after Wing & Gong 1993).

A configuration is (returns passed, state, which pending operations took effect). An operation is
placed no earlier than the next return needs it. Reductions, each sound on its own:

* reads that are legal now are placed now, but only operations that never change any state;
* of interchangeable pending operations the one that returns first is placed first (exchange), so
  crashed ones are only counted: how many of each kind took effect;
* a configuration that used more crashed operations than an otherwise equal one is dropped:
  whatever may follow it may follow the other, since nobody waits for a crashed operation;
* crashed writes of values that nobody asks for any more are interchangeable;
* right after a crashed operation nothing is placed that could as well have come before it, or
  that makes no difference of it: who needs no crashed operation is placed first.

A configuration's words are the live operations by slot, then the counts of crashed ones in fields
with a guard bit between, so that all fields are compared at once. Both searches can stop anywhere
and go on: all they know is in arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..compiled import kernel

I64 = npt.NDArray[np.int64]

BITS = 62
"""Bits of a word that are used, so that no sum or product of words leaves an int64."""

PREFIX = 8
"""How many operations of an order are kept for telling."""

DEPTH_FIRST, DEPTH_PER_OPERATION = 10_000, 12
"""Configurations that the depth-first search may visit, for each key and for each operation."""

TWINS = 16
"""Configurations that differ only in crashed operations and are compared one by one."""

NONE, UNKNOWN = -1, -2
ANY = -1

# What a search answers.
LEGAL, ILLEGAL, STEP, FULL, SPENT, PAUSED, TAKEN = 0, 1, 2, 3, 4, 5, 6

# Where a search keeps what it knows.
MODE, KEY, RETURN, STATE, TRAIL, DEPTH, COUNT, WORK, LIMIT = 0, 1, 2, 3, 4, 5, 6, 7, 8
PAUSE, BEST, ASK, ASKED, PLACED, INIT, WORDS, LIVE, BUDGET = 9, 10, 11, 12, 13, 14, 15, 16, 17
AT, FRONT, TAIL, NEXT, SIMPLE, BEFORE, LAST = 18, 19, 20, 21, 22, 23, 24
REGISTERS = 25

# Modes of the searches.
SETTLE, CHOOSE, BACK = 0, 1, 2
INTAKE, EXPAND = 0, 1

# Columns of a frame before its words.
F_RETURN, F_STATE, F_PHASE, F_CURSOR, F_WAY, F_TRAIL, F_BEFORE, F_LAST, F_JUNK, F_WORDS = range(10)

# Columns of a row of the breadth-first search before its words: the last operations are a ring.
C_STATE, C_TRAIL, C_BEFORE, C_LAST, C_RECENT, C_WORDS = 0, 1, 2, 3, 4, 4 + PREFIX


class Layout(NamedTuple):
    """Operations of all keys, numbered by key and return; crashed ones by key and kind.

    Operations of key k are `group[k]:group[k + 1]`. `word` and `bit` are an operation's slot;
    those pending at return r are `pending[off[r]:off[r + 1]]`, ascending. Kinds of crashed
    operations of key k are `kinds[k]:kinds[k + 1]`: their `kind_code`, the field that counts them
    (`kind_word`, `kind_shift`, `kind_mask`), and in `since[kind_from:kind_from + kind_size]` the
    returns from which they are pending. After return `until` nobody can tell what it wrote from any
    other value that nobody asks for; kinds stand with the greatest `until` first. `guard[k]` has the guard bits of the fields. `live[k]` words
    of a configuration are for live operations; there are `words[k]` in all.
    """

    group: I64
    code: I64
    word: I64
    bit: I64
    off: I64
    pending: npt.NDArray[np.int32]
    kinds: I64
    kind_code: I64
    kind_word: I64
    kind_shift: I64
    kind_mask: I64
    kind_from: I64
    kind_size: I64
    since: I64
    until: I64
    guard: npt.NDArray[np.int64]
    live: I64
    words: I64


class Rules(NamedTuple):
    """What may follow what: states and codes of operations are numbers.

    `still[code]` says that it never changes any state. Either `need`, `avoid` and `to` tell all
    (the state that it needs, the one that it must not meet, the one that it leaves; `ANY`: none),
    or `known` is a hash table of `state << 31 | code` whose place in `where` says where in
    `after` the next states stand, up to `NONE`.
    """

    still: I64
    need: I64
    avoid: I64
    to: I64
    known: I64
    where: I64
    after: I64


@kernel
def mixed(number: int) -> int:
    """Scatter the bits of a number that is not negative; the same interpreted and compiled."""
    number = (number & 0x7FFFFFFF) * 0x7FEB352D ^ number >> 31
    number = number ^ number >> 29
    number = (number & 0x7FFFFFFF) * 0x46C1B8A7 ^ number >> 31
    return number ^ number >> 27


@kernel
def place_of(known: I64, wanted: int) -> int:
    """Where `wanted` stands in a hash table of numbers, or the free place where it belongs."""
    mask = len(known) - 1
    at = mixed(wanted) & mask
    while known[at] != wanted and known[at] != NONE:
        at = at + 1 & mask
    return at


@kernel
def follow(rules: Rules, state: int, code: int, way: int) -> int:
    """The state after an operation, `NONE` where it is illegal, `UNKNOWN` if nobody said yet.

    `way` counts the states that may follow, from 0.
    """
    if len(rules.need) > 0:
        if way > 0 or rules.avoid[code] == state:
            return NONE
        need = rules.need[code]
        if need != ANY and need != state:
            return NONE
        to = rules.to[code]
        return state if to == ANY else to
    at = place_of(rules.known, state << 31 | code)
    if rules.known[at] == NONE:
        return UNKNOWN
    return int(rules.after[rules.where[at] + way])


@kernel
def asked(reg: I64, state: int, code: int) -> int:
    """Note which step is to be told."""
    reg[ASK] = state
    reg[ASKED] = code
    return STEP


# --- configurations seen -------------------------------------------------------------------------


@kernel
def covers(memo: I64, at: int, cur: I64, guard: I64, live: int, words: int, equal: bool) -> int:
    """2 if an entry used no more of any crashed kind, 1 if it differs only there, else 0."""
    for w in range(live):
        if memo[at, 1 + w] != cur[w]:
            return 0
    same = True
    for w in range(live, words):
        if ((cur[w] | guard[w]) - memo[at, 1 + w]) & guard[w] != guard[w]:
            return 1
        if cur[w] != memo[at, 1 + w]:
            same = False
    return 1 if same and not equal else 2


@kernel
def seen(memo: I64, reg: I64, key: int, cur: I64, guard: I64) -> bool:
    """Whether a configuration is covered by one that was seen; if not, it is now seen."""
    live, words = reg[LIVE], reg[WORDS]
    mask = len(memo) - 1
    number = mixed(key)
    for w in range(live):
        number = mixed(number ^ cur[w])
    at = number & mask
    met = 0
    while memo[at, 0] != NONE:
        if memo[at, 0] == key:
            found = covers(memo, at, cur, guard, live, words, True)
            if found == 2:
                return True
            met += found
            if met == TWINS:
                # Too many to compare with each: from here on only those that hash alike.
                met += 1
                for w in range(live, words):
                    number = mixed(number ^ cur[w])
                at = number & mask
                continue
        at = at + 1 & mask
    memo[at, 0] = key
    for w in range(words):
        memo[at, 1 + w] = cur[w]
    reg[COUNT] += 1
    return False


@kernel
def seen_again(layout: Layout, old: I64, memo: I64, cur: I64, reg: I64) -> None:
    """Fill a larger memory with what was seen of this key."""
    first = layout.group[reg[KEY]]
    shift = 32 if reg[SIMPLE] else 31
    for i in range(len(old)):
        if old[i, 0] != NONE and old[i, 0] >> shift >= first:
            for w in range(reg[WORDS]):
                cur[w] = old[i, 1 + w]
            seen(memo, reg, old[i, 0], cur, layout.guard[reg[KEY]])


@kernel
def surpassed(memo: I64, reg: I64, key: int, cur: I64, guard: I64) -> bool:
    """Whether another configuration that was seen used strictly less."""
    live, words = reg[LIVE], reg[WORDS]
    mask = len(memo) - 1
    number = mixed(key)
    for w in range(live):
        number = mixed(number ^ cur[w])
    at = number & mask
    met = 0
    while memo[at, 0] != NONE and met < TWINS:
        if memo[at, 0] == key:
            found = covers(memo, at, cur, guard, live, words, False)
            if found == 2:
                return True
            met += found
        at = at + 1 & mask
    return False


# --- moving through configurations ---------------------------------------------------------------


@kernel
def is_twin(layout: Layout, cur: I64, at: int, until: int, code: int) -> bool:
    """Whether an interchangeable operation is pending at return `at` that returns before `until`."""
    for i in range(layout.off[at], until):
        other = layout.pending[i]
        if layout.code[other] == code and not cur[layout.word[other]] & layout.bit[other]:
            return True
    return False


@kernel
def idle(rules: Rules, frame: I64, reg: I64, code: int, after: int, crashed: bool) -> int:
    """1 if the crashed operation just before is of no use to this one, 0 if it is; or `STEP`.

    It is of none if this one would have led to the same state without it, or with it later. The
    latter is found among live ones only: two crashed ones would each wait for the other.
    """
    before, last = frame[F_BEFORE], frame[F_LAST]
    if before == NONE:
        return 0
    way = 0
    while True:
        other = follow(rules, before, code, way)
        if other == UNKNOWN:
            return asked(reg, before, code)
        if other == NONE:
            return 0
        if other == after:
            return 1
        if not crashed:
            later = follow(rules, other, last, 0)
            if later == UNKNOWN:
                return asked(reg, other, last)
            if later == after:
                return 1
        way += 1


@kernel
def choose(layout: Layout, rules: Rules, frame: I64, reg: I64, cur: I64) -> int:
    """Take the next move of a frame: `TAKEN`, `NONE` if there is no further one, or `STEP`.

    First what returns next; then those live and those crashed that make it legal; then the
    others. A search that needs no such order (`SIMPLE`) takes the latter together.
    """
    r, state = frame[F_RETURN], frame[F_STATE]
    now = layout.code[r]
    words = reg[WORDS]
    simple = reg[SIMPLE]
    for w in range(words):
        cur[w] = frame[F_WORDS + w]
    reg[BEFORE] = NONE
    if frame[F_PHASE] == 0:
        while not rules.still[now]:
            after = follow(rules, state, now, frame[F_WAY])
            if after == UNKNOWN:
                return asked(reg, state, now)
            if after == NONE:
                break
            useless = idle(rules, frame, reg, now, after, False)
            if useless == STEP:
                return STEP
            frame[F_WAY] += 1
            if not useless:
                cur[layout.word[r]] |= layout.bit[r]
                reg[PLACED] = r
                reg[STATE] = after
                return TAKEN
        frame[F_PHASE], frame[F_WAY], frame[F_CURSOR] = 1, 0, layout.off[r]
        frame[F_JUNK] = 0
    while frame[F_PHASE] < 5:
        phase = frame[F_PHASE]
        crashed = phase == 2 or phase == 4
        end = layout.kinds[reg[KEY] + 1] if crashed else layout.off[r + 1]
        while frame[F_CURSOR] < end:
            i = frame[F_CURSOR]
            p = i if crashed else layout.pending[i]
            code = layout.kind_code[i] if crashed else layout.code[p]
            possible = True
            used = 0
            if frame[F_WAY] == 0:
                if crashed:
                    used = cur[layout.kind_word[i]] >> layout.kind_shift[i] & layout.kind_mask[i]
                    possible = (
                        used < layout.kind_size[i] and layout.since[layout.kind_from[i] + used] <= r
                    )
                    if layout.until[i] < r and possible:
                        if frame[F_JUNK]:
                            frame[F_CURSOR] = end
                            break
                        frame[F_JUNK] = 1
                else:
                    possible = not (
                        code == now or rules.still[code] or cur[layout.word[p]] & layout.bit[p]
                    )
            after = NONE
            if possible:
                after = follow(rules, state, code, frame[F_WAY])
                if after == UNKNOWN:
                    return asked(reg, state, code)
            if after != NONE and frame[F_WAY] == 0:
                until = layout.off[r + 1] if crashed else i
                if is_twin(layout, cur, r, until, code):
                    after = NONE
            if after == NONE:
                frame[F_CURSOR] += 1
                frame[F_WAY] = 0
                continue
            if not simple:
                helps = follow(rules, after, now, 0)
                if helps == UNKNOWN:
                    return asked(reg, after, now)
                if (helps != NONE) != (phase < 3):
                    frame[F_WAY] += 1
                    continue
            useless = idle(rules, frame, reg, code, after, crashed)
            if useless == STEP:
                return STEP
            frame[F_WAY] += 1
            if useless:
                continue
            if crashed:
                reg[BEFORE], reg[LAST] = state, code
                used = cur[layout.kind_word[i]] >> layout.kind_shift[i] & layout.kind_mask[i]
                cur[layout.kind_word[i]] += 1 << layout.kind_shift[i]
                reg[PLACED] = len(layout.code) + layout.kind_from[i] + used
            else:
                cur[layout.word[p]] |= layout.bit[p]
                reg[PLACED] = p
            reg[STATE] = after
            return TAKEN
        phase += 1
        if simple and phase == 3:
            phase = 5
        frame[F_PHASE], frame[F_WAY], frame[F_JUNK] = phase, 0, 0
        frame[F_CURSOR] = layout.kinds[reg[KEY]] if phase == 2 or phase == 4 else layout.off[r]
    return NONE


@kernel
def read(layout: Layout, rules: Rules, reg: I64, cur: I64, trail: I64) -> int:
    """Place every pending read that is legal now: it never hurts. `TAKEN`, or `STEP`."""
    r, state = reg[RETURN], reg[STATE]
    for i in range(layout.off[r], layout.off[r + 1]):
        p = layout.pending[i]
        code = layout.code[p]
        if rules.still[code] and not cur[layout.word[p]] & layout.bit[p]:
            after = follow(rules, state, code, 0)
            if after == UNKNOWN:
                return asked(reg, state, code)
            if after != NONE:
                cur[layout.word[p]] |= layout.bit[p]
                reg[BEFORE] = NONE
                trail[reg[TRAIL] % len(trail)] = p
                reg[TRAIL] += 1
    return TAKEN


# --- depth first ---------------------------------------------------------------------------------


@kernel
def settle(layout: Layout, rules: Rules, reg: I64, cur: I64, trail: I64) -> int:
    """Pass every return that needs no choice: `LEGAL` at the end, else `TAKEN`, or `STEP`."""
    stop = layout.group[reg[KEY] + 1]
    while reg[RETURN] < stop:
        r = reg[RETURN]
        word, bit = layout.word[r], layout.bit[r]
        if not cur[word] & bit:
            if read(layout, rules, reg, cur, trail) == STEP:
                return STEP
            if not cur[word] & bit:
                return TAKEN
        cur[word] ^= bit
        reg[RETURN] += 1
        reg[BEFORE] = NONE
    return LEGAL


@kernel
def remember_best(reg: I64, trail: I64, best: I64) -> None:
    """Keep the last operations of the order that came furthest."""
    if reg[RETURN] > reg[BEST]:
        reg[BEST] = reg[RETURN]
        for i in range(PREFIX):
            at = reg[TRAIL] - PREFIX + i
            best[i] = trail[at] if at >= 0 else NONE


@kernel
def depth_first(
    layout: Layout, rules: Rules, memo: I64, frames: I64, trail: I64, best: I64, cur: I64, reg: I64
) -> int:
    """Search key `reg[KEY]`: try the returning operation first, go back where that leads nowhere.

    `LEGAL`, `ILLEGAL` (`reg[BEST]` fits nowhere), `SPENT`; or what it needs to go on: `STEP`
    (say what follows `reg[ASK]`), `FULL` (a larger `memo` or `frames`), `PAUSED` (just call again).
    """
    guard = layout.guard[reg[KEY]]
    while True:
        if reg[MODE] == SETTLE:
            found = settle(layout, rules, reg, cur, trail)
            if found != TAKEN:
                return found
            if 2 * reg[COUNT] >= len(memo) or reg[DEPTH] >= len(frames):
                return FULL
            if reg[WORK] >= reg[LIMIT]:
                return SPENT
            reg[WORK] += reg[WORDS]
            remember_best(reg, trail, best)
            if seen(memo, reg, reg[RETURN] << 31 | reg[STATE], cur, guard):
                reg[MODE] = BACK
            else:
                frame = frames[reg[DEPTH]]
                frame[F_RETURN], frame[F_STATE] = reg[RETURN], reg[STATE]
                frame[F_PHASE], frame[F_CURSOR], frame[F_WAY] = 0, 0, 0
                frame[F_TRAIL] = reg[TRAIL]
                frame[F_BEFORE], frame[F_LAST] = reg[BEFORE], reg[LAST]
                for w in range(reg[WORDS]):
                    frame[F_WORDS + w] = cur[w]
                reg[DEPTH] += 1
                reg[MODE] = CHOOSE
            if reg[WORK] >= reg[PAUSE]:
                return PAUSED
        elif reg[MODE] == CHOOSE:
            frame = frames[reg[DEPTH] - 1]
            found = choose(layout, rules, frame, reg, cur)
            if found == STEP:
                return STEP
            if found == TAKEN:
                reg[RETURN] = frame[F_RETURN]
                trail[frame[F_TRAIL]] = reg[PLACED]
                reg[TRAIL] = frame[F_TRAIL] + 1
                reg[MODE] = SETTLE
            else:
                reg[DEPTH] -= 1
                reg[MODE] = BACK
        else:
            if reg[DEPTH] == 0:
                return ILLEGAL
            reg[MODE] = CHOOSE


@kernel
def depth_first_all(
    layout: Layout, rules: Rules, memo: I64, frames: I64, trail: I64, best: I64, cur: I64, reg: I64
) -> int:
    """Search one key after another, up to the last or to the first that is not legal."""
    while True:
        found = depth_first(layout, rules, memo, frames, trail, best, cur, reg)
        if found != LEGAL or reg[KEY] + 2 >= len(layout.group):
            return found
        reg[KEY] += 1
        begin(layout, memo, cur, reg)


@kernel
def begin(layout: Layout, memo: I64, cur: I64, reg: I64) -> None:
    """Stand at the beginning of key `reg[KEY]`, with nothing seen of it."""
    key = reg[KEY]
    reg[MODE] = SETTLE
    reg[RETURN] = layout.group[key]
    reg[STATE] = reg[INIT]
    reg[TRAIL] = 0
    reg[DEPTH] = 0
    reg[BEFORE] = NONE
    reg[BEST] = NONE
    reg[WORDS] = layout.words[key]
    reg[LIVE] = layout.live[key]
    size = layout.group[key + 1] - layout.group[key]
    most = DEPTH_FIRST + DEPTH_PER_OPERATION * size
    reg[LIMIT] = min(reg[BUDGET], reg[WORK] + reg[WORDS] * most)
    cur[:] = 0
    # Configurations carry the number of a return, so those of other keys are never met.
    if 8 * reg[COUNT] > len(memo):
        memo[:, 0] = NONE
        reg[COUNT] = 0


# --- breadth first -------------------------------------------------------------------------------


@kernel
def put(row: I64, reg: I64, cur: I64, recent: I64) -> None:
    """Write the current configuration into a row."""
    row[C_STATE], row[C_TRAIL] = reg[STATE], reg[TRAIL]
    row[C_BEFORE], row[C_LAST] = reg[BEFORE], reg[LAST]
    for i in range(PREFIX):
        row[C_RECENT + i] = recent[i]
    for w in range(reg[WORDS]):
        row[C_WORDS + w] = cur[w]


@kernel
def take(row: I64, reg: I64, cur: I64, recent: I64) -> None:
    """Make a row the current configuration."""
    reg[STATE], reg[TRAIL], reg[BEFORE] = row[C_STATE], row[C_TRAIL], NONE
    for i in range(PREFIX):
        recent[i] = row[C_RECENT + i]
    for w in range(reg[WORDS]):
        cur[w] = row[C_WORDS + w]


@kernel
def admit(
    layout: Layout, rules: Rules, memo: I64, queue: I64, after: I64, recent: I64, cur: I64, reg: I64
) -> int:
    """Put the current configuration where it belongs, unless it is covered: `TAKEN`, or `STEP`."""
    r = reg[RETURN]
    word, bit = layout.word[r], layout.bit[r]
    guard = layout.guard[reg[KEY]]
    if not cur[word] & bit and read(layout, rules, reg, cur, recent) == STEP:
        return STEP
    reg[WORK] += reg[WORDS]
    if cur[word] & bit:
        cur[word] ^= bit
        if not seen(memo, reg, (2 * r + 1) << 31 | reg[STATE], cur, guard):
            put(after[reg[NEXT]], reg, cur, recent)
            reg[NEXT] += 1
    elif not seen(memo, reg, 2 * r << 31 | reg[STATE], cur, guard):
        put(queue[reg[TAIL]], reg, cur, recent)
        reg[TAIL] += 1
    return TAKEN


@kernel
def full(memo: I64, queue: I64, after: I64, reg: I64) -> bool:
    """Whether one more configuration might not fit."""
    if 2 * reg[COUNT] + 2 >= len(memo):
        return True
    return bool(reg[TAIL] >= len(queue) or reg[NEXT] >= len(after))


@kernel
def advance(layout: Layout, memo: I64, front: I64, after: I64, cur: I64, reg: I64) -> None:
    """Let what has passed the return be the new front, without what is covered."""
    r, words, live = reg[RETURN], reg[WORDS], reg[LIVE]
    guard = layout.guard[reg[KEY]]
    reg[FRONT] = 0
    for i in range(reg[NEXT]):
        row = after[i]
        if words > live:
            for w in range(words):
                cur[w] = row[C_WORDS + w]
            if surpassed(memo, reg, (2 * r + 1) << 31 | row[C_STATE], cur, guard):
                continue
        front[reg[FRONT]] = row
        reg[FRONT] += 1
    reg[RETURN] = r + 1
    reg[MODE], reg[AT], reg[TAIL], reg[NEXT] = INTAKE, 0, 0, 0
    if 4 * reg[COUNT] > len(memo):
        memo[:, 0] = NONE
        reg[COUNT] = 0


@kernel
def breadth_first(
    layout: Layout,
    rules: Rules,
    memo: I64,
    front: I64,
    queue: I64,
    after: I64,
    frame: I64,
    recent: I64,
    cur: I64,
    reg: I64,
) -> int:
    """Carry all configurations of key `reg[KEY]` from return to return, keeping nothing older.

    Answers as `depth_first` does; when `ILLEGAL`, `queue[: reg[TAIL]]` are the last configurations.
    """
    stop = layout.group[reg[KEY] + 1]
    while reg[RETURN] < stop:
        r = reg[RETURN]
        if reg[MODE] == INTAKE:
            while reg[AT] < reg[FRONT]:
                if full(memo, queue, after, reg):
                    return FULL
                take(front[reg[AT]], reg, cur, recent)
                if admit(layout, rules, memo, queue, after, recent, cur, reg) == STEP:
                    return STEP
                reg[AT] += 1
            reg[MODE], reg[AT] = EXPAND, 0
        while reg[AT] < reg[TAIL]:
            if reg[WORK] >= reg[LIMIT]:
                return SPENT
            if reg[WORK] >= reg[PAUSE]:
                return PAUSED
            row = queue[reg[AT]]
            frame[F_RETURN], frame[F_STATE] = r, row[C_STATE]
            frame[F_PHASE], frame[F_CURSOR], frame[F_WAY] = 0, 0, 0
            frame[F_BEFORE], frame[F_LAST] = row[C_BEFORE], row[C_LAST]
            for w in range(reg[WORDS]):
                frame[F_WORDS + w] = row[C_WORDS + w]
            while True:
                if full(memo, queue, after, reg):
                    return FULL
                found = choose(layout, rules, frame, reg, cur)
                if found == STEP:
                    return STEP
                if found == NONE:
                    break
                for i in range(PREFIX):
                    recent[i] = row[C_RECENT + i]
                recent[row[C_TRAIL] % PREFIX] = reg[PLACED]
                reg[TRAIL] = row[C_TRAIL] + 1
                if admit(layout, rules, memo, queue, after, recent, cur, reg) == STEP:
                    return STEP
            reg[AT] += 1
        if reg[NEXT] == 0:
            return ILLEGAL
        advance(layout, memo, front, after, cur, reg)
    return LEGAL
