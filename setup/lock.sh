#!/usr/bin/env bash
# Locks requirements/*.in, with hashes, for Python 3.11 and 3.12. Run it by `./cls exec setup/lock.sh [OPTION...]`;
# options go to uv: --upgrade moves everything to its newest version, --upgrade-package NAME one package.
# The locks name no host, so they work with any index or mirror.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
lock() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate "${options[@]}" "$@"
}
options=("$@")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

grep '^uv==' base.in >"$scratch/uv.in"
lock "$scratch/uv.in" -o uv.txt
lock --excludes excludes.txt wheels.in -o wheels.txt
# Beside apt's packages: versions that accept its numpy, and never one of its own.
{ cat excludes.txt && echo opencv-python-headless; } >"$scratch/excludes.txt"
beside_apt=(--excludes "$scratch/excludes.txt" --constraints apt.txt --no-emit-package numpy)
lock "${beside_apt[@]}" jazzy.in -o jazzy.txt
# One lock a layer for both: with the base's versions, and with either numpy.
grep '==' wheels.txt | grep -v '^numpy==' | tr -d '\\' >"$scratch/base.txt"
# Environments of their own, of the base's versions, so that uv links them from its cache.
grep '^numpy==' wheels.txt | tr -d '\\' >"$scratch/numpy.txt"
for environment in peers avalanche torch_world; do
  lock --excludes excludes.txt --constraints "$scratch/base.txt" --constraints "$scratch/numpy.txt" \
    "$environment.in" -o "$environment.txt"
done
for layer in export bench examples dev; do
  lock "${beside_apt[@]}" --constraints "$scratch/base.txt" "$layer.in" -o "$layer.txt"
done
