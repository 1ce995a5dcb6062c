#!/usr/bin/env bash
# Prints the assignments that enter the environment and the built workspace.
set -e
root=$1
set +u
source "$root/install/local_setup.bash"
if [ "${ROS_DISTRO:-wheels}" = wheels ]; then
  # The wheels start every interpreter twice to set this path; with path and mark already there they don't.
  libraries=$(printf '%s:' "$VIRTUAL_ENV"/lib "$VIRTUAL_ENV"/lib/python3.*/site-packages/ros_*.libs)
  inherited=${LD_LIBRARY_PATH%:}
  export LD_LIBRARY_PATH="${inherited:+$inherited:}${libraries%:}"
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
fi
for name in AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH VIRTUAL_ENV PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE; do
  [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
done
