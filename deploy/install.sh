#!/bin/sh
# Makes a virtual environment that holds exactly what a lock names, and this project.
#
#   deploy/install.sh VENV [LOCK [PIP-INSTALL-OPTION ...]]
#
# LOCK defaults to requirements.lock. What follows it goes to the installation of the project
# itself: `--editable` in a work tree. PYTHON chooses the interpreter. The Makefile, the Dockerfile
# and .ci/run all install by this script, so that what is tested is what is shipped.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:?usage: deploy/install.sh VENV [LOCK [PIP-INSTALL-OPTION ...]]}
lock=${2:-$project/requirements.lock}
shift
[ $# -eq 0 ] || shift

fail() {
    echo "$*" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "tagecho needs Python 3.11 or newer, and found none${PYTHON:+ in PYTHON=$PYTHON}." \
        "Debian 12, Ubuntu 24.04 and newer have it: sudo apt install python3 python3-venv." \
        "If it has another name here: make PYTHON=/path/to/python3.12 ..."
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "$python cannot make virtual environments." \
            "On Debian and Ubuntu: sudo apt install python$version-venv"
    fi
    # --clear: what an interrupted attempt, or an interpreter that is gone, left behind.
    "$python" -m venv --clear "$venv"
}

pip() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}

[ "$(uname -s)" = Linux ] || fail "The lock is for Linux. Elsewhere the Docker image runs: make docker"
is_new_enough "$venv/bin/python" || make_venv
echo "installing $(grep -c '==' "$lock") packages into $venv ..." >&2
# The lock is complete, so pip has nothing to resolve; modules are compiled when first imported.
pip --no-deps --require-hashes --requirement "$lock"
pip --no-deps --no-build-isolation "$@" "$project"
