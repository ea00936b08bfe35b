"""Workloads without a built-in strategy, with one of the user's own, right and wrong, on Valkey."""

import json
import os
import subprocess
import sys

import pytest

HEAD = """
import time

class Mine:
    needs = ["valkey"]

    def open(self, ctx):
        self.valkey = ctx.valkey
"""

ADMISSION = """
    workload = "admission"
    limit = 2
    seats = "room"

    def enter(self, user):
{enter}

    def leave(self, ticket):
        self.valkey.zrem(self.seats, ticket)
"""
CHECK_THEN_ADD = """
        if self.valkey.zcard(self.seats) >= self.limit:
            return None
        self.valkey.zadd(self.seats, {user: user})
        return user
"""
ONE_SCRIPT = """
        script = (
            "if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end "
            "redis.call('ZADD', KEYS[1], ARGV[2], ARGV[2]) return 1"
        )
        return user if self.valkey.eval(script, 1, self.seats, self.limit, user) else None
"""

RATE = """
    workload = "rate-limit"
    limit = 3
    window = 0.4

    def allow(self, user):
{allow}
"""
GET_THEN_INCR = """
        name = f"rate:{user}"
        if int(self.valkey.get(name) or 0) >= self.limit:
            return False
        if self.valkey.incr(name) == 1:
            self.valkey.pexpire(name, int(self.window * 1000))
        return True
"""
TIMES_IN_A_SCRIPT = """
        script = (
            "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] "
            "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2])) "
            "if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end "
            "redis.call('ZADD', KEYS[1], now, now .. ARGV[3]) return 1"
        )
        import secrets
        window = int(self.window * 1_100_000)
        return self.valkey.eval(
            script, 1, f"rate:{user}", self.limit, window, secrets.token_hex(8)
        )
"""

CACHE = """
    workload = "cache"

    def source(self, key):
        return self.valkey.get(f"source:{key}")

    def read(self, key):
{read}

    def write(self, key, value):
        self.valkey.set(f"source:{key}", value)
        self.valkey.delete(f"cache:{key}")
"""
ASIDE = """
        found = self.valkey.get(f"cache:{key}")
        if found is None:
            found = self.source(key)
            time.sleep(0.002)
            if found is not None:
                self.valkey.set(f"cache:{key}", found)
        return found
"""
THROUGH = """
        return self.source(key)
"""

VISITS = """
    workload = "approx-count"

    def visit(self, user):
{visit}

    def estimate(self):
        return self.valkey.{estimate}("visitors")
"""


def mine(text, **parts):
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", part)
    return HEAD + text


CASES = {
    "admission, checked first": (mine(ADMISSION, enter=CHECK_THEN_ADD), "over-admission"),
    "admission, one script": (mine(ADMISSION, enter=ONE_SCRIPT), None),
    "rate, read first": (mine(RATE, allow=GET_THEN_INCR), "over-admission"),
    "rate, times in a script": (mine(RATE, allow=TIMES_IN_A_SCRIPT), None),
    "cache aside": (mine(CACHE, read=ASIDE), "divergence"),
    "no cache": (mine(CACHE, read=THROUGH), None),
    "visits counted": (
        mine(VISITS, visit="        self.valkey.incr('visitors')", estimate="get"),
        "bad-estimate",
    ),
    "visitors counted": (
        mine(VISITS, visit="        self.valkey.pfadd('visitors', user)", estimate="pfcount"),
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_judged(tmp_path, case):
    source, anomaly = CASES[case]
    (tmp_path / "mine.py").write_text(source)
    args = ["run", "mine.py", "--faults", "none", "--time", "3s", "--seed", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "dokkaebi", *args],
        cwd=tmp_path,
        env={**os.environ, "DOKKAEBI_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout, done.stderr
    verdict = json.loads(done.stdout)
    said = verdict["verdict"], verdict["reason"]
    assert said[0] == ("violated" if anomaly else "holds"), said
    found = {each["type"] for each in verdict.get("anomalies", ())}
    assert (anomaly in found) if anomaly else not found
