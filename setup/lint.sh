#!/usr/bin/env bash
# Style, types and layers. Runs inside the environment: `make lint`, or `./cls exec setup/lint.sh`.
# All checks run; the exit status is 1 if any of them failed.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
check() {
  echo "lint: $1"
  shift
  "$@" || failed=1
}

# Every pure module: what lies in a package, outside nodes/.
mapfile -t modules < <(find src/*/cls_* examples -name '*.py' -not -path '*/nodes/*' -not -path '*/test/*' -not -name 'test_*' | sort)

check 'style' ruff check .
check 'format' ruff format --check .
check 'types' mypy "${modules[@]}"
check 'layers' lint-imports --no-cache
[ "$failed" = 0 ] && echo 'lint: all well'
exit "$failed"
