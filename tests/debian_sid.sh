#!/bin/sh
# Runs the suite on a CPython that is not installed here: that of Debian unstable, in a tree of its own.
# `sh tests/debian_sid.sh 3.14`; needs Debian and root. What is mounted in the tree no other process sees.
set -eu

export VERSION="$1" TREE="$PWD/.cache/debian-sid-$1"

if [ ! -e "$TREE/ready" ]; then
    command -v debootstrap >/dev/null || apt-get install --quiet=2 --yes debootstrap
    rm -rf "$TREE"
    packages="python$VERSION-venv,python$VERSION-dev,gcc,git,procps"
    debootstrap --variant=minbase --include="$packages" sid "$TREE" >/dev/null
    mkdir "$TREE/src"
    touch "$TREE/ready"
fi
cp --dereference /etc/resolv.conf /etc/hosts "$TREE/etc/"
mkdir -p "$TREE/etc/ssl/certs"
cp --dereference --remove-destination /etc/ssl/certs/ca-certificates.crt "$TREE/etc/ssl/certs/"

exec unshare --mount sh -euc '
    for directory in proc sys dev; do mount --rbind "/$directory" "$TREE/$directory"; done
    mount --bind . "$TREE/src"
    exec chroot "$TREE" sh -euc "
        cd /src
        [ -e /nox/bin/nox ] || { python$VERSION -m venv /nox && /nox/bin/pip install --quiet nox wrapt; }
        exec /nox/bin/nox --envdir /envs --non-interactive --session tests-$VERSION
    "
'
