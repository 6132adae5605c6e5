"""The Flask service between two Node services; it has no tracing code."""

from __future__ import annotations

import os

import requests
from flask import Flask

app = Flask("orders")
NEXT_URL = os.environ["NEXT_URL"]


@app.get("/orders/<int:number>")
def order(number: int):
    answer = requests.get(f"{NEXT_URL}/orders/{number}", timeout=10)
    answer.raise_for_status()
    return {**answer.json(), "via": ["orders", *answer.json().get("via", [])]}
