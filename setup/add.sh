#!/usr/bin/env bash
# add.sh ROOT LAYER...: adds what only some commands need (requirements/LAYER.in) to .venv, or brings it up to date.
# Repeatable: a half installed layer of an interrupted run is installed again.
set -euo pipefail
root=$1
shift
cd "$root"
source setup/install.sh

for layer in "$@"; do
  lock=requirements/$layer.txt stamp=.venv/.layer-$layer
  case $layer in
    export | bench | examples | dev) ;;
    *) fail "there is no layer '$layer': export, bench, examples and dev are there." ;;
  esac
  want=$(sha256sum "$lock" | cut -c1-16)
  have=$(cat "$stamp" 2>/dev/null || true)
  [ "$have" = "$want" ] && continue
  say "adding '$layer' for $(head -n 1 "requirements/$layer.in" | cut -c3-)"
  # Packages of an install that was killed look installed and lack files.
  [ "$have" = unfinished ] && again=--reinstall || again=
  echo unfinished >"$stamp"
  install "$lock" $again || fail "'$layer' could not be added, see above; '$root/cls add $layer' tries again."
  # The plug-ins themselves, as links: what is changed in examples/ counts at once.
  [ "$layer" != examples ] || link examples || fail "the package in examples/ could not be added, see above."
  echo "$want" >"$stamp"
done
