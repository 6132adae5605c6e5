"""Real servers from Debian's packages, each started once a session, on the first demand.

`tests/install_services.sh` installs them. Each listens on a free loopback port, keeps its files in a
directory of its own, and ends with the session, even with one that is killed.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from required import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_TIMEOUT = 60.0
ATTEMPTS = 5
CACHE = Path(__file__).parents[1] / ".cache"
KAFKA = "3.9.1"
"""The last that still speaks what the oldest clients do."""
NOBODY = "nobody"
"""Who runs them where the tests are run by root: PostgreSQL and MariaDB refuse root."""


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Of a database `test` of PostgreSQL; its user `tester` needs no password and may do everything."""
    postgres, initdb = _program("postgresql", "postgres"), _program("postgresql", "initdb")
    with _directory() as directory:
        data = f"{directory}/data"
        options = ("--auth=trust", "--username=tester", "--encoding=UTF8", "--locale=C", "--no-sync")
        _run(directory, initdb, f"--pgdata={data}", *options)

        def command(port: int) -> list[str]:
            settings = ("fsync=off", "shared_buffers=16MB", "max_connections=50")
            return [
                *(postgres, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", directory),
                *(word for setting in settings for word in ("-c", setting)),
            ]

        with _server(directory, command, end=signal.SIGINT) as port:  # SIGTERM would wait for connections
            url = f"postgresql://tester@127.0.0.1:{port}"
            psql = (_program("postgresql", "psql"), "--no-psqlrc", f"{url}/postgres")
            _until_it_answers(directory, *psql, "-c", "CREATE DATABASE test")
            yield f"{url}/test"


@pytest.fixture(scope="session")
def postgresql_odbc(postgresql_url: str) -> str:
    """The same database as an ODBC connection string."""
    drivers = glob.glob("/usr/lib/*/odbc/psqlodbcw.so")
    if not drivers:
        missing("Debian's odbc-postgresql is not installed (tests/install_services.sh does it)")
    parts = urlsplit(postgresql_url)
    return f"Driver={drivers[0]};Server={parts.hostname};Port={parts.port};Database=test;Uid=tester"


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """Of a database `test` of MariaDB; its user `tester` has the password `secret` and may do everything."""
    names = ("mariadbd", "mariadb-install-db", "mariadb")
    mariadbd, install, client = (_program("mariadb-server", name) for name in names)
    with _directory() as directory:
        data, socket_file = f"--datadir={directory}/data", f"--socket={directory}/socket"
        normal = "--auth-root-authentication-method=normal"
        _run(directory, install, "--no-defaults", data, "--skip-test-db", normal)

        def command(port: int) -> list[str]:
            return [
                *(mariadbd, "--no-defaults", data, socket_file, f"--pid-file={directory}/pid"),
                *(f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve"),
                *("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"),
            ]

        with _server(directory, command) as port:
            _until_it_answers(
                *(directory, client, "--no-defaults", socket_file, "--user=root", "-e"),
                "CREATE DATABASE IF NOT EXISTS test; "
                "CREATE USER IF NOT EXISTS tester@'127.0.0.1' IDENTIFIED BY 'secret'; "
                "GRANT ALL ON *.* TO tester@'127.0.0.1'",
            )
            yield f"mysql://tester:secret@127.0.0.1:{port}/test"


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Of database 0 of a Redis server that keeps nothing on disk."""
    redis = _program("redis-server", "redis-server")
    with _directory() as directory:

        def command(port: int) -> list[str]:
            return [redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]

        with _server(directory, command) as port:
            yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[list[str]]:
    """Of two nodes of a Redis cluster; the first has the lower half of the slots."""
    redis, client = (_program("redis-server", name) for name in ("redis-server", "redis-cli"))
    buses: dict[int, int] = {}
    with _directory() as directory, ExitStack() as stack:

        def command(port: int) -> list[str]:
            buses[port] = _free_port()
            return [
                *(redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory),
                *("--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{port}.conf"),
                *("--cluster-port", str(buses[port])),
            ]

        ports = [stack.enter_context(_server(directory, command)) for _ in range(2)]
        for port, slots in zip(ports, (("0", "8191"), ("8192", "16383"))):
            _until_it_answers(directory, client, "-e", "-p", str(port), "CLUSTER", "ADDSLOTSRANGE", *slots)
        met = ("127.0.0.1", str(ports[1]), str(buses[ports[1]]))
        _until_it_answers(directory, client, "-e", "-p", str(ports[0]), "CLUSTER", "MEET", *met)
        for port in ports:
            is_well = f"{client} -p {port} CLUSTER INFO | grep -q cluster_state:ok"
            _until_it_answers(directory, "sh", "-c", is_well)
        yield [f"redis://127.0.0.1:{port}/0" for port in ports]


@pytest.fixture(scope="session")
def redis_sentinel(redis_url: str) -> Iterator[int]:
    """Port of a sentinel that knows the Redis server as `shop`."""
    redis, client = (_program("redis-server", name) for name in ("redis-server", "redis-cli"))
    with _directory() as directory:

        def command(port: int) -> list[str]:
            lines = f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
            lines += f"sentinel monitor shop 127.0.0.1 {urlsplit(redis_url).port} 1\n"
            settings = Path(directory, f"sentinel-{port}.conf")
            settings.write_text(lines)
            if os.geteuid() == 0:
                shutil.chown(settings, NOBODY)
            return [redis, str(settings), "--sentinel"]

        with _server(directory, command) as port:
            is_known = f"{client} -p {port} SENTINEL MASTER shop | grep -q master"
            _until_it_answers(directory, "sh", "-c", is_known)
            yield port


@pytest.fixture(scope="session")
def memcached_address() -> Iterator[str]:
    """`host:port` of a memcached server."""
    memcached = _program("memcached", "memcached")
    with _directory() as directory:

        def command(port: int) -> list[str]:
            return [memcached, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "16"]

        with _server(directory, command) as port:
            yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """Of a RabbitMQ broker; its name server is its own too."""
    # Debian's wrapper of it wants to run as the package's user.
    found = glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
    epmd = _program("rabbitmq-server", "epmd")
    if not found:
        missing("Debian's rabbitmq-server is not installed (tests/install_services.sh does it)")
    with (
        _directory() as directory,
        _server(directory, lambda port: [epmd, "-address", "127.0.0.1", "-port", str(port)]) as names,
    ):

        def command(port: int) -> list[str]:
            home = f"{directory}/{port}"
            settings = {
                "ERL_EPMD_PORT": names,
                "RABBITMQ_NODENAME": f"test{port}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": port,
                "RABBITMQ_DIST_PORT": _free_port(),
                "RABBITMQ_MNESIA_BASE": f"{home}/data",
                "RABBITMQ_LOG_BASE": f"{home}/logs",
                "RABBITMQ_LOGS": "-",
                "RABBITMQ_CONFIG_FILE": f"{home}/none",
                "RABBITMQ_CONF_ENV_FILE": f"{home}/none",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/none",
                "RABBITMQ_ALLOW_INPUT": 1,  # its script becomes the server, instead of waiting for it
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -start_epmd false",
            }
            return ["env", *(f"{name}={value}" for name, value in settings.items()), found[0]]

        with _server(directory, command) as port:
            yield f"amqp://guest:guest@127.0.0.1:{port}/%2F"


@pytest.fixture(scope="session")
def kafka_address() -> Iterator[str]:
    """`host:port` of a Kafka broker, the only node of its cluster; topics are made when they are named."""
    if shutil.which("java") is None or shutil.which("setpriv") is None:
        missing("Java is not installed: no Kafka")
    bounded = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    java = ("java", *bounded, "-cp", f"{_kafka_jars()}/*")
    with _directory() as directory:

        def command(port: int) -> list[str]:
            controller = f"127.0.0.1:{_free_port()}"
            settings = {
                "process.roles": "broker,controller",
                "node.id": 1,
                "controller.quorum.voters": f"1@{controller}",
                "controller.listener.names": "CONTROLLER",
                "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://{controller}",
                "log.dirs": f"{directory}/{port}",
                "log.cleaner.enable": "false",
                "offsets.topic.replication.factor": 1,
                "offsets.topic.num.partitions": 1,
                "transaction.state.log.replication.factor": 1,
                "transaction.state.log.min.isr": 1,
                "transaction.state.log.num.partitions": 1,
                "group.initial.rebalance.delay.ms": 0,
            }
            file = Path(directory, f"{port}.properties")
            file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
            if os.geteuid() == 0:
                shutil.chown(file, NOBODY)
            name = "YXV0b3RyYWNlLXRlc3Rpbg"  # of the cluster: 16 bytes in base64
            _run(directory, *java, "kafka.tools.StorageTool", "format", "-t", name, "-c", str(file))
            return [*java, "kafka.Kafka", str(file)]

        with _server(directory, command) as port:
            yield f"127.0.0.1:{port}"


def _kafka_jars() -> str:
    """A directory that everybody may read; Maven fills it once."""
    jars = CACHE / f"kafka-{KAFKA}"
    if not jars.exists():
        if shutil.which("mvn") is None:
            missing("Maven is not installed: no Kafka")
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as directory:
            Path(directory, "pom.xml").write_text(
                "<project><modelVersion>4.0.0</modelVersion>"
                "<groupId>tests</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>"
                "<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>"
                f"<version>{KAFKA}</version></dependency></dependencies></project>"
            )
            options = ("-DincludeScope=runtime", "-DoutputDirectory=jars")
            done = subprocess.run(
                ["mvn", "-q", "-B", "dependency:copy-dependencies", *options],
                check=False,
                capture_output=True,
                text=True,
                cwd=directory,
                timeout=300,
            )
            if done.returncode != 0:
                missing(f"Maven cannot fetch Kafka: {done.stdout[-500:]}")
            Path(directory, "jars").chmod(0o755)
            try:
                Path(directory, "jars").rename(jars)
            except OSError:
                assert jars.exists()  # somebody else was faster
    return str(jars)


def _program(package: str, name: str) -> str:
    """Its path. Debian keeps PostgreSQL's in a directory of each version, the newest is taken."""
    newest_first = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *newest_first])
    found = shutil.which(name, path=path)
    if found is None or shutil.which("setpriv") is None:
        missing(f"Debian's {package} is not installed (tests/install_services.sh does it)")
    return found


@contextmanager
def _directory() -> Iterator[str]:
    """Not below pytest's own, which only root may enter."""
    directory = tempfile.mkdtemp(prefix="autotrace-test-")
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, NOBODY)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged(end: signal.Signals) -> list[str]:
    """Words before a command that is not to run as root, nor longer than this process."""
    words = ["setpriv", "--pdeathsig", end.name[3:]]
    if os.geteuid() == 0:
        words += [f"--reuid={NOBODY}", f"--regid={_group()}", "--clear-groups"]
    return words


def _group() -> int:
    import pwd

    return pwd.getpwnam(NOBODY).pw_gid


def _run(directory: str, *command: str) -> None:
    done = subprocess.run(
        [*_unprivileged(signal.SIGKILL), *command],
        check=False,
        capture_output=True,
        text=True,
        env=_environment(directory),
        cwd=directory,
        timeout=START_TIMEOUT,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-1000:]}{done.stderr[-1000:]}"


@contextmanager
def _server(
    directory: str, command: Callable[[int], list[str]], end: signal.Signals = signal.SIGTERM
) -> Iterator[int]:
    """Run a server on a free port; if somebody else takes the port in the meantime, on another one."""
    log = Path(directory, "log")
    for attempt in range(ATTEMPTS):
        port = _free_port()
        with (
            log.open("w") as output,
            subprocess.Popen(
                [*_unprivileged(end), *command(port)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(directory),
                cwd=directory,
            ) as process,
        ):
            try:
                if _listens(port, process):
                    yield port
                    return
                assert attempt + 1 < ATTEMPTS, f"{command(port)[0]} does not start: {log.read_text()[-2000:]}"
            finally:
                process.send_signal(end)
                _wait(process)


def _free_port() -> int:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return reserved.getsockname()[1]


def _listens(port: int, process: subprocess.Popen[Any]) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def _until_it_answers(directory: str, *command: str) -> None:
    """A server may listen before it serves."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            _run(directory, *command)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _wait(process: subprocess.Popen[Any]) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def _environment(directory: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": directory, "TMPDIR": directory, "LC_ALL": "C"}
