"""The program under test on ASGI: a FastAPI application that knows nothing of tracing."""

from __future__ import annotations

import fastapi

app = fastapi.FastAPI()


@app.get("/hello")
async def hello() -> str:
    return "hello"
