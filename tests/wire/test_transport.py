"""The transport against real sockets: what it delivers, what it retries, and when it gives up."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate

import pytest
from http_backend import CLOSE, Backend, answer, backend

from autotrace.export.transport import MAX_ANSWER, USER_AGENT, HttpTransport

GRACE = 0.3
"""Seconds past the deadline by which a post has returned: the promise is 0.1, the machine may be busy."""

JSON = "application/json"


@contextmanager
def transport(*args, **kwargs):
    made = HttpTransport(*args, **kwargs)
    try:
        yield made
    finally:
        made.close()


def post(to, body=b"body", within=5.0):
    return to.post(body, JSON, time.monotonic() + within)


@contextmanager
def must_end_within(seconds):
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took <= seconds + GRACE, f"{took:.3f} s"


def test_request_as_the_backend_sees_it():
    with backend() as served, transport(served.url("/v1/traces?a=b c"), [("X-Key", "k v")]) as to:
        response = post(to)
    assert (response.status, response.reason) == (200, "")
    (request,) = served.received
    assert request.line == "POST /v1/traces?a=b%20c HTTP/1.1"
    assert request.headers == {
        "host": f"127.0.0.1:{served.port}",
        "accept-encoding": "identity",
        "content-length": "4",
        "user-agent": USER_AGENT,
        "x-key": "k v",
        "content-type": JSON,
    }
    assert request.body == b"body"


def test_connection_is_kept():
    with backend() as served, transport(served.url()) as to:
        assert [post(to).status for _ in range(3)] == [200, 200, 200]
    assert (served.connections, len(served.received)) == (1, 3)


def test_connection_is_kept_after_a_chunked_answer():
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with backend(chunked) as served, transport(served.url()) as to:
        assert [post(to).body for _ in range(2)] == [b"abc", b"abc"]
    assert served.connections == 1


def test_connection_close_is_respected():
    with backend(answer(connection="close"), answer()) as served, transport(served.url()) as to:
        assert [post(to).status for _ in range(2)] == [200, 200]
    assert served.connections == 2


def test_stale_connection_is_replaced_at_once():
    """No back-off: the backend is well, it merely closed an idle connection."""
    with backend() as served, transport(served.url()) as to:
        post(to)
        served.drop_idle()
        with must_end_within(0.3):
            assert post(to).status == 200
    assert served.connections == 2
    assert len(served.received) == 2


def test_refused():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with transport(f"http://127.0.0.1:{reserved.getsockname()[1]}/") as to, must_end_within(0.8):
            response = post(to, within=0.8)
    assert response == (0, {}, b"", "connection refused")


def test_refused_at_first():
    """A backend that comes up between two attempts gets the spans."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with transport(f"http://127.0.0.1:{port}/") as to:
            result = []
            thread = threading.Thread(target=lambda: result.append(post(to)))
            thread.start()
            reserved.listen()
            connection, _ = reserved.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer(202))
                thread.join()
    assert result[0].status == 202


def test_closed_without_answer_is_retried():
    with backend(CLOSE, answer()) as served, transport(served.url()) as to:
        assert post(to).status == 200
    assert len(served.received) == 2


def test_closed_without_answer_for_good():
    with backend(CLOSE) as served, transport(served.url()) as to, must_end_within(0.3):
        assert post(to, within=0.3).reason == "connection closed by the backend"


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "x" * 300 + ".invalid", "no..where.invalid"], ids=["no", "long", "empty"]
)
def test_unknown_name(host):
    with transport(f"http://{host}:4318/") as to, must_end_within(0.5):
        response = post(to, within=0.5)
    # A resolver that does not answer in time is as good as one that says no.
    assert response.status == 0
    assert response.reason in ("name not resolved", "timed out")


def test_resolver_that_hangs(monkeypatch):
    """`getaddrinfo` has no timeout; with a dead name server it takes minutes."""
    over = threading.Event()
    real = socket.getaddrinfo

    def hang(host, *args, **kwargs):
        if host == "collector.invalid":
            over.wait(10)
        return real("127.0.0.1", *args, **kwargs)

    with transport("http://collector.invalid:1/") as to:
        with monkeypatch.context() as patch, must_end_within(0.3):
            patch.setattr(socket, "getaddrinfo", lambda *a, **k: numeric_or(hang, real, *a, **k))
            assert post(to, within=0.3).reason == "timed out"
        over.set()
    for thread in threading.enumerate():
        if thread.name == "autotrace-resolve":
            thread.join()


def numeric_or(hang, real, *args, **kwargs):
    numeric = args[-1] == socket.AI_NUMERICHOST
    return real(*args, **kwargs) if numeric else hang(*args, **kwargs)


def black_hole(connection):
    connection.recv(1)  # until the client goes away


def trickle(connection):
    try:
        for byte in answer(200, b"x" * 1000):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        pass


@pytest.mark.parametrize("behaviour", [black_hole, trickle])
def test_deadline_holds_whatever_the_backend_does(behaviour):
    with backend(behaviour) as served, transport(served.url()) as to, must_end_within(0.5):
        assert post(to, within=0.5).reason == "timed out"


def test_timeout_counts_for_the_whole_post():
    with backend(trickle) as served, transport(served.url(), timeout=0.3) as to, must_end_within(0.3):
        assert post(to, within=60).reason == "timed out"


def test_no_timeout_leaves_the_deadline():
    with backend(black_hole) as served, transport(served.url(), timeout=0) as to, must_end_within(0.3):
        assert post(to, within=0.3).reason == "timed out"


def test_peer_that_never_reads():
    body = bytes(16 * 2**20)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with transport(f"http://127.0.0.1:{deaf.getsockname()[1]}/") as to, must_end_within(0.3):
            assert post(to, body, within=0.3).reason == "timed out"


def test_delivered_although_the_body_is_broken_off():
    """The status has said it all; sending again would double the spans."""

    def broken(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    with backend(broken, answer()) as served, transport(served.url()) as to:
        assert post(to)[0] == 200
        assert post(to)[0] == 200
    assert (len(served.received), served.connections) == (2, 2)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_overload_is_retried_with_a_pause(status):
    with backend(answer(status), answer()) as served, transport(served.url()) as to:
        started = time.monotonic()
        assert post(to).status == 200
        assert time.monotonic() - started >= 0.2
    assert (len(served.received), served.connections) == (2, 1)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 408, 413, 500, 501])
def test_other_statuses_are_final(status):
    with backend(answer(status, location="/elsewhere")) as served, transport(served.url()) as to:
        response = post(to)
    assert (response.status, response.reason) == (status, f"http {status}")
    assert len(served.received) == 1


def test_overload_for_good():
    """The first pause is half a second at most, and the two together are more than 0.7."""
    with backend(answer(503)) as served, transport(served.url()) as to, must_end_within(0.7):
        assert post(to, within=0.7).reason == "http 503"
    assert len(served.received) == 2


@pytest.mark.parametrize("form", ["number", "date"])
def test_retry_after_decides_the_pause(form):
    with backend(answer(503, retry_after="1"), answer()) as served, transport(served.url()) as to:
        if form == "date":
            in_two_seconds = answer(503, retry_after=formatdate(time.time() + 2, usegmt=True))
            served.answers = (in_two_seconds, answer())
        started = time.monotonic()
        assert post(to).status == 200
        assert 0.9 <= time.monotonic() - started <= 2.5


def test_retry_after_the_deadline_is_not_waited_for():
    with (
        backend(answer(503, retry_after="60")) as served,
        transport(served.url()) as to,
        must_end_within(0.2),
    ):
        assert post(to, within=5).reason == "http 503"
    assert len(served.received) == 1


@pytest.mark.parametrize("text", ["soon", "-1", "9" * 400, "Thu, 99 Foo 2026", "1e9", "\xb2"])
def test_retry_after_that_makes_no_sense(text):
    with backend(answer(503, retry_after=text)) as served, transport(served.url()) as to:
        assert post(to, within=0.2).reason == "http 503"


def test_hasten_ends_a_pause_with_one_more_attempt():
    with backend(answer(503, retry_after="30"), answer()) as served, transport(served.url(), timeout=0) as to:
        result = []
        thread = threading.Thread(target=lambda: result.append(post(to, within=60)))
        thread.start()
        wait_for(lambda: len(served.received) == 1)
        with must_end_within(0.5):
            to.hasten(time.monotonic() + 5)
            thread.join()
    assert result[0].status == 200


def test_hasten_ends_a_wait_for_an_answer():
    with backend(black_hole) as served, transport(served.url(), timeout=0) as to:
        result = []
        thread = threading.Thread(target=lambda: result.append(post(to, within=60)))
        thread.start()
        wait_for(lambda: served.received)
        with must_end_within(0.5):
            to.hasten(time.monotonic() + 0.1)
            thread.join()
    assert result[0].reason == "timed out"


def wait_for(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_gzip():
    with backend() as served, transport(served.url(), gzip=True) as to:
        post(to, b"x" * 10_000)
    (request,) = served.received
    assert request.headers["content-encoding"] == "gzip"
    assert len(request.body) < 1000
    assert gzip.decompress(request.body) == b"x" * 10_000


def test_answers_are_read_within_bounds():
    with backend(answer(200, b"x" * (MAX_ANSWER + 2**20))) as served, transport(served.url()) as to:
        assert len(post(to).body) == MAX_ANSWER
        assert post(to).status == 200
    assert served.connections == 2


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 99999,
    ],
    ids=["ssh", "http2", "endless header"],
)
def test_peer_that_does_not_speak_http(nonsense):
    def babble(connection):
        connection.sendall(nonsense)

    with backend(babble) as served, transport(served.url()) as to:
        assert post(to).reason == "answer is not http"
    assert len(served.received) == 1


def test_early_refusal_of_a_large_body():
    """A backend that refuses by size answers before it has read all, and closes."""

    def refuse(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer(413, connection="close"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        with transport(f"http://127.0.0.1:{listener.getsockname()[1]}/") as to:
            assert post(to, b"x" * 2**22).reason == "http 413"
        thread.join()


def test_ipv6():
    try:
        served = Backend(family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on this machine's loopback")
    with transport(served.url(host="[::1]")) as to:
        assert post(to).status == 200
    served.close()
    assert served.received[0].headers["host"] == f"[::1]:{served.port}"


def test_basic_authentication_by_argument():
    with backend() as served, transport(served.url(), auth=("käse", "p:w")) as to:
        post(to)
    assert served.received[0].headers["authorization"] == "Basic a8Okc2U6cDp3"


def test_credentials_of_a_url_are_sent_and_not_shown():
    with backend() as served:
        url = served.url("/p?key=hidden").replace("://", "://us%40er:secret@")
        with transport(url) as to:
            post(to)
    assert served.received[0].headers["authorization"] == "Basic dXNAZXI6c2VjcmV0"
    assert to.destination == f"http://127.0.0.1:{served.port}/p"


def test_headers_that_http_forbids_are_left_out(capsys):
    bad = [("X-A", "a\r\nX-Evil: 1"), ("X B", "b"), ("", "c"), ("Content-Length", "1"), ("x-good", "d")]
    with backend() as served, transport(served.url(), bad) as to:
        assert post(to).status == 200
    assert {"x-evil", "x-a", "x b", ""} & served.received[0].headers.keys() == set()
    assert served.received[0].headers["x-good"] == "d"
    assert served.received[0].headers["content-length"] == "4"
    assert capsys.readouterr().err.count("cannot be sent: left out") == 4


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4318",
        "ftp://h/",
        "http://",
        "http://[::1",
        "http://u:secret@h:port/",
        "http://h:99999/",
    ],
)
def test_unusable_url(url, capsys):
    with transport(url) as to:
        assert post(to) == (0, {}, b"", "endpoint is not a url")
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "secret" not in message


def test_proxies_are_not_asked(monkeypatch):
    with backend() as proxy, backend() as served, transport(served.url()) as to:
        monkeypatch.setenv("http_proxy", proxy.url("/"))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url("/"))
        assert post(to).status == 200
    assert proxy.connections == 0


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, a server of `localhost` and a client, made by openssl."""
    folder = tmp_path_factory.mktemp("certificates")
    if shutil.which("openssl") is None:
        pytest.fail("openssl is missing") if os.environ.get("AUTOTRACE_TEST_REQUIRED") else pytest.skip(
            "no openssl"
        )

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign", "-days", "2")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", *authority)
    extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    (folder / "extensions").write_text(extensions)
    for name in ("server", "client"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = (
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "extensions",
            "-days",
            "2",
        )
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return {name: str(folder / name) for name in os.listdir(folder)}


def server_context(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    return context


def test_tls(certificates):
    with backend(tls=server_context(certificates)) as served:
        url = served.url(scheme="https", host="localhost")
        with transport(url, certificate=certificates["ca.pem"]) as to:
            assert [post(to).status, post(to).status] == [200, 200]
    assert served.connections == 1


def test_tls_with_an_unknown_authority_is_final(certificates):
    context = server_context(certificates)
    with backend(tls=context) as served, transport(served.url(scheme="https")) as to:
        assert post(to).reason == "certificate not trusted"
    assert (served.connections, served.received) == (1, [])


def test_tls_to_a_plain_port():
    with backend(answer()) as served, transport(served.url(scheme="https")) as to:
        assert post(to, within=0.5).status == 0


def test_tls_handshake_that_never_ends():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"https://127.0.0.1:{deaf.getsockname()[1]}/"
        with transport(url) as to, must_end_within(0.3):
            assert post(to, within=0.3).reason == "timed out"


def test_tls_black_hole(certificates):
    context, ca = server_context(certificates), certificates["ca.pem"]
    with backend(black_hole, tls=context) as served:
        with transport(served.url(scheme="https"), certificate=ca) as to, must_end_within(0.6):
            assert post(to, within=0.6).reason == "timed out"
        assert len(served.received) == 1


@pytest.mark.parametrize("with_certificate", [True, False])
def test_mutual_tls(certificates, with_certificate):
    context = server_context(certificates)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates["ca.pem"])
    files = {"client_certificate": certificates["client.pem"], "client_key": certificates["client.key"]}
    with backend(tls=context) as served:
        url = served.url(scheme="https")
        own = files if with_certificate else {}
        with transport(url, certificate=certificates["ca.pem"], **own) as to:
            response = post(to, within=0.5)
    assert response.status == (200 if with_certificate else 0)
    assert len(served.received) == (1 if with_certificate else 0)


def test_certificate_file_that_is_missing(tmp_path, capsys):
    gone = str(tmp_path / "gone.pem")
    with backend() as served, transport(served.url(scheme="https"), certificate=gone) as to:
        assert post(to).reason == "certificate files cannot be used"
    assert "gone.pem" in capsys.readouterr().err
    assert served.connections == 0


FORK_WITH_THREADS = "ignore:.*multi-threaded, use of fork.*:DeprecationWarning"


@pytest.mark.filterwarnings(FORK_WITH_THREADS)
def test_child_after_a_fork_makes_its_own_connection():
    """And the parent's goes on as if nothing had happened."""
    with backend() as served, transport(served.url()) as to:
        assert post(to).status == 200
        child = os.fork()
        if child == 0:
            os._exit(0 if post(to).status == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert post(to).status == 200
    assert served.connections == 2
    assert len(served.received) == 3


@pytest.mark.filterwarnings(FORK_WITH_THREADS)
def test_fork_while_another_thread_waits_for_an_answer():
    """Locks that the parent's thread held are held for ever in the child; nothing may wait for them."""
    may_answer = threading.Event()

    def late(connection):
        may_answer.wait(10)
        connection.sendall(answer(202))

    with backend(late, answer(200)) as served, transport(served.url()) as to:
        result = []
        thread = threading.Thread(target=lambda: result.append(post(to, within=10)))
        thread.start()
        wait_for(lambda: served.received)
        child = os.fork()
        if child == 0:
            os._exit(0 if post(to).status == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        may_answer.set()
        thread.join()
    assert result[0].status == 202


def test_nothing_heavy_is_imported_by_the_module():
    check = (
        "import sys; import opentelemetry.trace; before = set(sys.modules); "
        "import autotrace.export.transport; print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run(
        [sys.executable, "-c", check], check=True, capture_output=True, text=True, timeout=60
    )
    assert {"ssl", "socket", "http.client", "urllib.parse", "email"} & set(run.stdout.split()) == set()
