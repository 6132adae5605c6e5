#!/bin/sh
# Installs what tests/services.py starts, and the browser of tests/browser, where this is Debian and we are root.
# Without it those tests are skipped; AUTOTRACE_TEST_REQUIRED=1 makes them fail instead.
set -eu

PACKAGES="postgresql mariadb-server redis-server memcached rabbitmq-server odbc-postgresql unixodbc
    gcc libmariadb-dev pkg-config chromium fonts-dejavu-core"

command -v dpkg-query >/dev/null || exit 0

wanted=
for package in $PACKAGES; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || wanted="$wanted $package"
done
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "tests/install_services.sh: not root, these stay missing:$wanted" >&2
    exit 0
fi
# Nothing is to be started by the packages themselves: the tests start their own.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2 || true
# shellcheck disable=SC2086
apt-get install --quiet=2 --yes --no-install-recommends $wanted >/dev/null
