"""The shop's stock: a plain Flask program on SQLite. No tracing code anywhere."""

import os
import sqlite3
import time

from flask import Flask, abort, jsonify

DATABASE = os.environ.get("INVENTORY_DB", "inventory.db")

app = Flask(__name__)


def connect() -> sqlite3.Connection:
    connection = sqlite3.connect(DATABASE)
    connection.row_factory = sqlite3.Row
    return connection


def set_up() -> None:
    with connect() as connection:
        connection.executescript(
            """
            CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT, price REAL, left INTEGER);
            INSERT OR REPLACE INTO products
            VALUES (1, 'kettle', 39.9, 12), (2, 'teapot', 24.5, 0), (3, 'cup', 7.0, 80);
            """
        )


@app.get("/stock/<int:number>")
def stock(number: int):
    with connect() as connection:
        row = connection.execute("SELECT name, price, left FROM products WHERE id = ?", (number,)).fetchone()
    if row is None:
        abort(404)
    if row["name"] == "cup":
        time.sleep(0.25)  # the supplier's price list is slow
    return jsonify(dict(row))


@app.post("/stock/<int:number>/take")
def take(number: int):
    with connect() as connection:
        row = connection.execute("SELECT left FROM products WHERE id = ?", (number,)).fetchone()
        if row["left"] == 0:
            raise RuntimeError(f"product {number} is sold out")
        connection.execute("UPDATE products SET left = left - 1 WHERE id = ?", (number,))
    return jsonify(left=row["left"] - 1)


if __name__ == "__main__":
    set_up()
    app.run(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "5001")))
