"""The program under test on ASGI: a FastAPI application that knows nothing of tracing."""

from __future__ import annotations

import os
from functools import cache

import asyncpg
import fastapi
import httpx

PEER = os.environ.get("BENCH_PEER", "http://127.0.0.1:9/")

app = fastapi.FastAPI()


@cache
def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False)


_pools: list[asyncpg.Pool] = []


async def pool() -> asyncpg.Pool:
    if not _pools:
        _pools.append(await asyncpg.create_pool(os.environ["BENCH_POSTGRESQL"], min_size=1, max_size=1))
    return _pools[0]


@app.get("/hello")
async def hello() -> str:
    return "hello"


@app.get("/mix")
async def mix() -> str:
    async with (await pool()).acquire() as connection:
        name, price = await connection.fetchrow("SELECT name, price FROM item WHERE id = $1", 7)
        other = await connection.fetchval(
            "SELECT name FROM item WHERE price > $1 ORDER BY price LIMIT 1", price
        )
    answer = await client().get(PEER)
    return f"{name} {other} {answer.text}"
