#!/bin/sh
# make_venv.sh PYTHON FOLDER: make a virtual environment, or say what is missing.
set -eu
python=$1
folder=$2

if [ -z "$python" ]; then
    echo "The oldest supported versions need Python 3.11 or 3.12, and none was found." >&2
    echo "Install one, or name it: make test-oldest PYTHON_OLDEST=/path/to/python3.11" >&2
    exit 1
fi
if ! command -v "$python" >/dev/null; then
    echo "No command '$python'. Install Python 3.11 or newer, or name it: make PYTHON=..." >&2
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "'$python' is Python $version; skgengeo needs 3.11 or newer." >&2
    echo "Name a newer one: make PYTHON=python3.12" >&2
    exit 1
fi

has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

package=python$version-venv
if ! has_venv && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing $package, which Debian keeps apart from Python."
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" || true
fi
if ! has_venv; then
    echo "'$python' cannot make virtual environments: its venv module is missing." >&2
    echo "On Debian or Ubuntu: sudo apt-get install $package" >&2
    exit 1
fi

"$python" -m venv --clear "$folder"
touch "$folder/.created"
