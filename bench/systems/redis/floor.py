"""The floor: a Lua call each, by redis-py. No order but the list's, no lease that ends, no retry, no check."""

from __future__ import annotations

from time import perf_counter, perf_counter_ns
from typing import Any

import redis

from ...work import Item, number_of

PUT = """
local n = redis.call('INCRBY', KEYS[1], #ARGV)
local ids, fields = {}, {}
for i, body in ipairs(ARGV) do
  local id = n - #ARGV + i
  ids[i] = id
  fields[2 * i - 1], fields[2 * i] = id, body
end
redis.call('HSET', KEYS[2], unpack(fields))
redis.call('RPUSH', KEYS[3], unpack(ids))
"""
NEXT = """
if #ARGV > 2 then
  redis.call('HDEL', KEYS[2], unpack(ARGV, 3))
  redis.call('ZREM', KEYS[1], unpack(ARGV, 3))
end
local ids = redis.call('LPOP', KEYS[3], ARGV[1])
if not ids then return {} end
local lent = {}
for i, id in ipairs(ids) do lent[2 * i - 1], lent[2 * i] = ARGV[2], id end
redis.call('ZADD', KEYS[1], unpack(lent))
return {ids, redis.call('HMGET', KEYS[2], unpack(ids))}
"""
PUT_KEYS = ("floor:n", "floor:jobs", "floor:list")
NEXT_KEYS = ("floor:lent", "floor:jobs", "floor:list")


class Floor:
    """put: one call. bulk: one call for many. drain: acks of the last and claim of the next in one call."""

    def __init__(self, place: str, durability: str) -> None:
        self._client: Any = redis.Redis.from_url(place)
        self._put = self._client.script_load(PUT)
        self._next = self._client.script_load(NEXT)

    def put(self, work: list[Item]) -> None:
        call, script = self._client.evalsha, self._put
        for one in work:
            call(script, 3, *PUT_KEYS, one.body)

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            self._client.evalsha(self._put, 3, *PUT_KEYS, *[one.body for one in work[start : start + size]])

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        call, done = self._client.evalsha, 0
        ids: list[bytes] = []
        began = perf_counter()
        while done < most:
            answer = call(self._next, 3, *NEXT_KEYS, min(limit, most - done), 1, *ids)
            if not answer:
                break
            ids = answer[0]
            done += len(ids)
        self._client.hdel(NEXT_KEYS[1], *ids)
        return done, perf_counter() - began

    def tell(self, one: Item) -> None:
        pipe = self._client.pipeline(transaction=False)
        pipe.evalsha(self._put, 3, *PUT_KEYS, one.body)
        pipe.rpush("floor:bell", 1)
        pipe.execute()

    def starts(self, count: int) -> list[int]:
        print("waiting", flush=True)
        out: list[int] = []
        ids: list[bytes] = []
        while len(out) < count:
            self._client.blpop("floor:bell", 10)
            ids, [body] = self._client.evalsha(self._next, 3, *NEXT_KEYS, 1, 1, *ids)
            out.append(perf_counter_ns() - number_of(body))
        return out

    def ask(self, one: Item) -> None:
        self.tell(one)
        _, body = self._client.blpop("floor:reply", 10)
        if number_of(body) != number_of(one.body):
            raise AssertionError("the answer is another's")

    def answers(self) -> None:
        print("waiting", flush=True)
        ids: list[bytes] = []
        while True:
            self._client.blpop("floor:bell", 10)
            ids, [body] = self._client.evalsha(self._next, 3, *NEXT_KEYS, 1, 1, *ids)
            self._client.rpush("floor:reply", body)

    def close(self) -> None:
        self._client.close()
