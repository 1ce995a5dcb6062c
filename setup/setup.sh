#!/usr/bin/env bash
# Sets up the workspace; each step is repeatable, so an interrupted run is repaired by the next one.
#   1. what the machine must have   2. .venv from the locks   3. colcon build   4. build/environment.sh
set -euo pipefail
root=$1
cd "$root"
source setup/install.sh
trap 'echo; say "interrupted; the next ./cls does the rest"; exit 130' INT TERM

# 1. What the machine must have.
case $root in
  *[[:space:]]*) fail "the path '$root' has a space, which ROS 2's build tools can not take: move this folder to a path without." ;;
esac
distro=${ROS_DISTRO:-wheels}
case $distro in
  wheels | jazzy) ;;
  *) fail "ROS 2 '$distro' is sourced, Jazzy is needed. Open a shell without it (ROS 2 then comes from wheels), or source Jazzy." ;;
esac
[ "$(uname -s)" = Linux ] || fail "this runs on Linux, found $(uname -s)."
[ "$distro" = jazzy ] || [ "$(uname -m)" = x86_64 ] || fail "ROS 2 comes as wheels for x86_64 only, this machine is $(uname -m):" \
  "install ROS 2 Jazzy by apt and source it (README, 'Beside an installed ROS 2')."
python=
for candidate in ${CLS_PYTHON:-python3 python3.12 python3.11}; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || fail "Python 3.11 or 3.12 is needed, found $(python3 --version 2>/dev/null || echo none):" \
  "sudo apt-get install python3.12 python3.12-venv python3.12-dev, or name another by CLS_PYTHON=/path/to/python3.12"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "Python's venv is missing: sudo apt-get install python$version-venv"
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' \
  || fail "Python's headers are missing: sudo apt-get install python$version-dev"
command -v c++ >/dev/null || fail "a C++ compiler is missing: sudo apt-get install g++"
command -v make >/dev/null || fail "make is missing: sudo apt-get install make"

# 2. The environment, from the lock with hashes. PyTorch comes from PyPI with CUDA, or for the CPU alone (CLS_TORCH=cpu);
#    an environment stays as it was made unless the variable is set.
[ "$distro" = jazzy ] && lock=requirements/jazzy.txt site=--system-site-packages || lock=requirements/wheels.txt site=
if [ "$distro" = jazzy ]; then
  numpy=$("$python" -c 'import cv2, numpy; print(numpy.__version__)' 2>/dev/null || echo none)
  case $numpy in
    0.* | 1.*) ;;
    *) fail "beside an installed Jazzy numpy and OpenCV are apt's, as its cv_bridge needs numpy below 2; found numpy $numpy or no OpenCV:" \
      "sudo apt-get install python3-numpy python3-opencv, and remove a numpy that pip installed." ;;
  esac
fi
have=$(cat .venv/.complete 2>/dev/null || true)
.venv/bin/python -c '' 2>/dev/null || have=
torch=${CLS_TORCH:-$(awk 'NF == 5 {print $4}' <<<"$have")}
torch=${torch:-cuda}
case $torch in
  cuda) download=3.0 disk=5.3 ;;
  cpu) download=1.0 disk=2.2 ;;
  *) fail "CLS_TORCH is '$torch', expected cpu or cuda." ;;
esac
kind="$distro $version $root $torch"
want="$kind $(sha256sum "$lock" requirements/uv.txt | sha256sum | cut -c1-16)"
if [ "$have" != "$want" ]; then
  free_mb=$(df -Pm . | awk 'NR==2 {print $4}')
  say "making .venv: downloads about $download GB unless cached, takes $disk GB of disk ($((free_mb / 1024)) GB are free)"
  [ "$free_mb" -gt "$(awk "BEGIN {print int(($disk + 0.5) * 1000)}")" ] \
    || fail "$disk GB of free disk and half a GB to work in are needed here, $((free_mb / 1024)) GB found: free some and run this again."
  # Only a whole environment of the same kind is brought up to date. An install that was killed leaves packages that
  # look installed and lack files, and a moved folder has its old paths, so any other environment is made again; what was
  # downloaded is cached.
  rm -f .venv/.complete build/.ready
  case $have in
    "$kind "*) ;;
    *) make_environment ${site:+"$site"} ;;
  esac
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
  if [ "$torch" = cpu ]; then
    install_cpu_torch "$lock" || fail "PyTorch's CPU builds could not be had, see above; without CLS_TORCH=cpu PyTorch comes from PyPI."
    install <(without_cuda "$lock")
  else
    install "$lock"
  fi
  [ "$distro" = jazzy ] || .venv/bin/python setup/repair_wheels.py
  echo "$want" >.venv/.complete
fi
# Layers that were added stay, at the versions of their locks.
setup/add.sh "$root" $(layers_here)

# 3. The workspace. The stamp is as old as the start of the build, so that a change made meanwhile counts.
say "building the workspace"
mkdir -p build
touch build/.started
clean=(env -u PYTHONPATH -u LD_LIBRARY_PATH -u AMENT_PREFIX_PATH -u CMAKE_PREFIX_PATH -u COLCON_PREFIX_PATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE)
venv=$root/.venv
if [ "$distro" = jazzy ]; then
  clean=(env)
  entry=("PATH=$venv/bin:$PATH")
else
  entry=("PATH=$venv/bin:$PATH" "AMENT_PREFIX_PATH=$venv" "CMAKE_PREFIX_PATH=$venv")
fi
mkdir -p log
touch build/COLCON_IGNORE .venv/COLCON_IGNORE
"${clean[@]}" "${entry[@]}" "$venv/bin/python" -m colcon --log-base log build --symlink-install --event-handlers console_direct- console_cohesion- \
  --cmake-args -DPython3_EXECUTABLE="$venv/bin/python" -DBUILD_TESTING=OFF --no-warn-unused-cli >build/colcon.log 2>&1 \
  || { tail -n 40 build/colcon.log; fail "the build failed, the whole output is in build/colcon.log"; }

# 4. What sourcing the workspace changes, kept as plain assignments: sourcing itself takes half a second.
"${clean[@]}" "${entry[@]}" VIRTUAL_ENV="$venv" bash setup/environment.sh "$root" >build/environment.sh.new
mv build/environment.sh.new build/environment.sh
echo "$distro $root" >build/.ready.new
touch -r build/.started build/.ready.new
mv build/.ready.new build/.ready
say "ready"
