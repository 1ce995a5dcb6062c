# Sourced: how requirements come into .venv. Expects the repository's root in $root and as the current folder.
say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# uv's cache is what makes a second environment quick; without a home that can be written it lies in this repository.
cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/dev/null}/.cache}/uv}
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || export UV_CACHE_DIR=$root/.uv-cache

# install LOCK [OPTION...]: a lock has all dependencies. Compiled once: otherwise every process with a .venv that it
# cannot write compiles PyTorch at each start, 2 s each.
install() {
  local quiet=--quiet
  [ -t 2 ] && quiet=
  .venv/bin/uv pip install $quiet --compile-bytecode --python .venv/bin/python --no-deps --require-hashes -r "$@"
}

# link FOLDER: a Python package of this repository, as links, with what is installed already.
link() { .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable "$1"; }

# The layers that were added to .venv.
layers_here() {
  local stamp
  for stamp in .venv/.layer-*; do [ ! -e "$stamp" ] || echo "${stamp##*-}"; done
}

# make_environment [OPTION]: an empty .venv of $python and no build; previous layers are noted, to be added again.
make_environment() {
  local layer layers
  layers=$(layers_here)
  rm -rf .venv install build/*
  "$python" -m venv "$@" .venv
  for layer in $layers; do echo unfinished >".venv/.layer-$layer"; done
}

# install_cpu_torch LOCK: PyTorch's CPU builds, at the lock's versions, from PyTorch's own index by uv's switch. They
# have other hashes than the lock, so these two are not checked by hash.
install_cpu_torch() {
  local pins
  mapfile -t pins < <(grep -oE '^(torch|torchvision)==[^ ]+' "$1")
  .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --no-deps --torch-backend cpu "${pins[@]}"
}

# without_cuda LOCK: the lock without PyTorch and without what only its CUDA build needs.
without_cuda() { awk '/^[a-z0-9]/ { drop = /^(torch|torchvision|nvidia-[a-z0-9-]+|cuda-[a-z]+)==/ } !drop' "$1"; }
