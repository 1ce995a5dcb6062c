#!/usr/bin/env bash
# Exit status 0: environment and workspace match the sources. Must stay fast (it runs before every ./cls).
set -euo pipefail
root=$1
stamp=$root/build/.ready
[ -e "$stamp" ] && [ -x "$root/.venv/bin/python" ] && [ -e "$root/build/environment.sh" ] || exit 1
# A Jazzy that came or went needs the other kind of environment; a moved folder needs new paths.
[ "$(cat "$stamp")" = "${ROS_DISTRO:-wheels} $root" ] || exit 1
# Another PyTorch than the environment's is asked for.
[ -z "${CLS_TORCH:-}" ] || [[ $(<"$root/.venv/.complete") == *" $CLS_TORCH "* ]] || exit 1
# With --symlink-install only these need a build; Python modules, launch and parameter files are links.
newer=$(find "$root/src" "$root/requirements" "$root/setup" "$root/launch" "$root/config" \
  \( -name __pycache__ -o -name '*.egg-info' -o -name .pytest_cache \) -prune -o -type f \
  \( -path '*/requirements/*' -o -path '*/setup/*' -o -name package.xml -o -name CMakeLists.txt -o -name setup.py \
     -o -name setup.cfg -o -name '*.msg' -o -name '*.srv' -o -name '*.action' \) \
  -newer "$stamp" -print -quit)
[ -z "$newer" ] || exit 1
# A file added to or removed from a folder whose files are installed one by one changes the folder itself.
[ -z "$(find "$root/launch" "$root/config" -type d -newer "$stamp" -print -quit)" ]
