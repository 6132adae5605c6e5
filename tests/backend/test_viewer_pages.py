"""The viewer's files over a real socket: types, caching, one page for every view, and nothing else."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from query_server import fetch
from viewer_server import viewer_server

from autotrace.backend.viewer import pages

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def url(tmp_path_factory: Any) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        assets = tmp_path_factory.mktemp("assets")
        (assets / "static").mkdir()
        (assets / "index.html").write_text("<!doctype html><title>viewer</title>")
        (assets / "icon.svg").write_text("<svg/>")
        (assets / "static" / "index-Dz_4kq1P.js").write_text("let a")
        (assets / ".hidden").write_text("x")
        (assets.parent / "secret.txt").write_text("secret")
        patch.setattr(pages, "_ASSETS", assets)
        with viewer_server(tmp_path_factory.mktemp("pages")) as server:
            yield server.url


@pytest.mark.parametrize("path", ["/", "/search?service=a", "/trace/abc", "/map", "/.hidden", "/index.html"])
def test_every_view_is_the_page(url: str, path: str) -> None:
    status, headers, body = fetch(url + path)
    assert (status, body) == (200, b"<!doctype html><title>viewer</title>")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    assert "script-src 'self';" in headers["Content-Security-Policy"]


def test_hashed_names_are_kept_by_the_browser(url: str) -> None:
    status, headers, body = fetch(url + "/static/index-Dz_4kq1P.js")
    assert (status, body) == (200, b"let a")
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert fetch(url + "/icon.svg")[1]["Cache-Control"] == "no-cache"
    assert fetch(url + "/icon.svg")[1]["Content-Type"] == "image/svg+xml"


def test_a_file_of_another_version_is_not_the_page(url: str) -> None:
    assert fetch(url + "/static/index-AAAAAAAA.js")[0] == 404


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/viewer/nothing", "/api/v9"])
def test_an_unknown_api_is_not_the_page(url: str, path: str) -> None:
    status, headers, _ = fetch(url + path)
    assert (status, headers["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/static/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/static/..%2f..%2fsecret.txt",
        "//etc/passwd",
    ],
)
def test_no_path_leads_outside(url: str, path: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)  # sends the path as it is
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    assert b"secret" not in body
    assert b"root:" not in body


def test_without_files_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_ASSETS", tmp_path / "none")
    with viewer_server(tmp_path) as server:
        status, headers, body = fetch(server.url + "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"no viewer" in body


def test_the_files_that_ship_are_there() -> None:
    """Built from `viewer/` by `make viewer`, and part of the wheel."""
    assert (Path(pages.__file__).parent / "assets" / "index.html").is_file()
