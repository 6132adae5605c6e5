"""Texts that mean paths."""

from __future__ import annotations

import time

import pytest

from autotrace.sampling.patterns import matcher


@pytest.mark.parametrize(
    ("pattern", "means", "means_not"),
    [
        ("/health", ["/health"], ["/health/", "/healthy", "/a/health", ""]),
        ("/static/*", ["/static/", "/static/a/b.css"], ["/static", "/a/static/b"]),
        ("*/health", ["/health", "/a/b/health"], ["/healthy"]),
        ("/users/<id>", ["/users/42"], ["/users/", "/users/42/cart"]),
        ("/users/<int:id>/cart", ["/users/42/cart"], ["/users/42", "/users/4/2/cart"]),
        ("/users/{id}", ["/users/42"], ["/users/4/2"]),
        ("/users/:id/cart", ["/users/42/cart"], ["/users/42/carts"]),
        ("/files/{name:path}", ["/files/a", "/files/a/b"], ["/files/"]),
        ("/files/<path:name>", ["/files/a/b"], ["/files/"]),
        ("/a.b+c(d)", ["/a.b+c(d)"], ["/aXb+c(d)"]),
        ("GET /users/{id}", ["GET /users/42"], ["POST /users/42"]),
        ("/a/*/c/*/e", ["/a/b/c/d/e", "/a//c/c/x/c/e", "/a/b/c/e/c/x/e"], ["/a/b/c/d", "/a/c/e"]),
        ("*/{id}/cart*", ["/users/42/cart", "/x/users/42/carts/7"], ["/cart"]),
        ("*", ["", "anything\nat all"], []),
    ],
)
def test_what_a_pattern_means(pattern, means, means_not):
    matches = matcher(pattern)
    assert [text for text in [*means, *means_not] if matches(text)] == means


def test_a_hostile_path_keeps_nobody_busy():
    matches = matcher("/*a*a*a*a*a*a*a*/{id}/b")
    start = time.perf_counter()
    assert not matches("/" + "a" * 8192)
    assert not matches("/a" * 4096)
    assert time.perf_counter() - start < 5
