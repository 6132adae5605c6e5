"""The program under test: a Flask application that knows nothing of tracing.

`query` and `fetch` are plain functions of the module so that `floor.py` can replace them.
"""

from __future__ import annotations

import os
import sqlite3

import flask
import requests

PEER = os.environ.get("BENCH_PEER", "http://127.0.0.1:9/")

app = flask.Flask("shop")

connection = sqlite3.connect(":memory:", check_same_thread=False)
connection.executescript("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER);")
connection.executemany("INSERT INTO item VALUES (?, ?, ?)", [(n, f"item {n}", n * 10) for n in range(100)])
connection.commit()

BY_ID = "SELECT name, price FROM item WHERE id = ?"
BY_PRICE = "SELECT name FROM item WHERE price > ? ORDER BY price LIMIT 1"
COUNT = "SELECT count(*) FROM item WHERE id < ?"


def query(sql: str, *values: object) -> tuple:
    cursor = connection.cursor()
    cursor.execute(sql, values)
    return cursor.fetchone()


session = requests.Session()


def fetch(url: str) -> str:
    return session.get(url, timeout=5).text


@app.get("/hello")
def hello() -> str:
    return "hello"


@app.get("/db")
def db() -> str:
    name, price = query(BY_ID, 7)
    (other,) = query(BY_PRICE, price)
    (count,) = query(COUNT, 9)
    return f"{name} {other} {count}"


@app.get("/mix")
def mix() -> str:
    name, price = query(BY_ID, 7)
    (other,) = query(BY_PRICE, price)
    return f"{name} {other} {fetch(PEER)}"
