"""The shop's front: a plain Flask program that asks the inventory. No tracing code anywhere."""

import os

import requests
from flask import Flask, abort, jsonify

INVENTORY = os.environ.get("INVENTORY_URL", "http://127.0.0.1:5001")

app = Flask(__name__)


@app.get("/products/<int:number>")
def product(number: int):
    answer = requests.get(f"{INVENTORY}/stock/{number}", timeout=5)
    if answer.status_code == 404:
        abort(404)
    answer.raise_for_status()
    return jsonify(product=number, **answer.json())


@app.post("/orders/<int:number>")
def order(number: int):
    answer = requests.post(f"{INVENTORY}/stock/{number}/take", timeout=5)
    if answer.status_code == 409:
        return jsonify(error="sold out"), 409
    answer.raise_for_status()
    return jsonify(ordered=number, left=answer.json()["left"]), 201


@app.get("/health")
def health():
    return "ok"


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
