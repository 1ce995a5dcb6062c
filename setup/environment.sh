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
for name in AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH VIRTUAL_ENV _ROS_WHEELS_BOOTSTRAP_COMPLETE; do
  [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
done
# What the caller has in these stays, behind ours; a shell that has entered already is left as it is.
for name in PYTHONPATH LD_LIBRARY_PATH PATH; do
  [ -z "${!name:-}" ] || printf 'case ${%s:-} in %q*) ;; *) export %s=%q${%s:+:$%s} ;; esac\n' "$name" "${!name}" "$name" "${!name}" "$name" "$name"
done
