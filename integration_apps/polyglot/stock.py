"""The FastAPI service at the end of the chain, with a database; it has no tracing code."""

from __future__ import annotations

import os
import sqlite3
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

DATABASE = os.environ["STOCK_DB"]


@asynccontextmanager
async def lifespan(_app: FastAPI):
    with sqlite3.connect(DATABASE) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS stock (number INTEGER PRIMARY KEY, left INTEGER)")
        connection.executemany("INSERT OR REPLACE INTO stock VALUES (?, ?)", [(7, 3), (8, 0)])
    connection.close()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/orders/{number}")
def order(number: int):
    connection = sqlite3.connect(DATABASE)
    try:
        row = connection.execute("SELECT left FROM stock WHERE number = ?", (number,)).fetchone()
    finally:
        connection.close()
    if row is None:
        raise HTTPException(404, "no such order")
    if not row[0]:
        raise ValueError(f"order {number} is out of stock")
    return {"number": number, "left": row[0], "from": "stock"}
