#!/usr/bin/env bash
# Makes .venv and installs the pinned dependencies into it. Says in one sentence what is missing, and the command that mends it.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

find_python() {
  local name
  for name in "${PYTHON:-}" python3.13 python3.12 python3.11 python3.14 python3; do
    [ -n "$name" ] && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$name"; return; }
  done
  if [ "$(uname)" = Darwin ]; then
    fail "Python 3.11 or newer is needed and $(python3 --version 2>/dev/null || echo none) was found; mend it with: brew install python@3.13"
  fi
  fail "Python 3.11 or newer is needed and $(python3 --version 2>/dev/null || echo none) was found; mend it with: sudo apt install python3.11 python3.11-venv (or name another one: make PYTHON=/path/to/python3 …)"
}

check_disk() {
  local free_mb
  free_mb=$(df -Pm . | awk 'NR == 2 { print $4 }')
  [ "$free_mb" -ge 1500 ] || fail "the environment needs 1500 MB of disk and $PWD has $free_mb MB; free some, or clone into a file system that has them"
}

check_venv() {
  "$1" -c 'import venv, ensurepip' 2>/dev/null && return
  local version
  version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  fail "$1 has no venv module; mend it with: sudo apt install python$version-venv"
}

python=$(find_python)
check_venv "$python"
check_disk
[ -x .venv/bin/python ] && .venv/bin/python -c 'import pip' 2>/dev/null || { rm -rf .venv; "$python" -m venv .venv; }
echo "setup: installing the pinned dependencies into .venv (about a minute the first time)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt ||
  fail "pip could not install the dependencies; read its message above, check the network (a proxy goes into HTTPS_PROXY) and run make setup again"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . ||
  fail "pip could not install this checkout; read its message above and run make setup again"
touch .venv/.complete
