#!/bin/sh
# Finds a Python that the product runs on and lets it set up .venv. A command of the right name is not
# enough: version managers leave stubs that fail when called, so each candidate has to answer.
set -eu
cd "$(dirname "$0")/.."
found_old=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
    if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
      # -P: the script's own folder must not stand first on the import path.
      exec "$candidate" -P ops/stack/installation.py "$@"
    fi
    found_old="$candidate has no venv module (Debian and Ubuntu: apt-get install python3-venv)"
  fi
done
echo "Vivavoce needs Python 3.11, 3.12 or 3.13 with venv${found_old:+, and $found_old}: install it and run make again." >&2
exit 2
