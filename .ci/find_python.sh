#!/bin/sh
# Print the first of the given commands that is a Python 3.11 or 3.12.
for python in "$@"; do
    if "$python" -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' \
        2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
