#!/bin/sh
# Creates the virtual environment with the uv of uv.txt in it.  usage: create_venv.sh DIR   (PYTHON in the environment)
set -eu
venv=$1

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

"$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
    || fail "$PYTHON is $("$PYTHON" --version 2>&1); Python 3.11, 3.12 or 3.13 is needed. Try: make PYTHON=python3.12 ..."

# Debian and Ubuntu ship ensurepip apart from python3: without it `-m venv` fails half-way.
if ! "$PYTHON" -c 'import ensurepip' 2>/dev/null; then
    sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
    command -v apt-get >/dev/null && { [ -z "$sudo" ] || command -v sudo >/dev/null; } \
        || fail "$PYTHON has no ensurepip; install your distribution's python3-venv package"
    echo "installing python3-venv"
    $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y python3-venv >/dev/null \
        || fail "apt-get could not install python3-venv; install it by hand and run make again"
fi

echo "creating $venv"
"$PYTHON" -m venv --clear "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement "$(dirname "$0")/uv.txt"
