#!/usr/bin/env bash
# Make the environment of a variant and run the notebooks in it: all, or those of the chapters named.
#
#   tools/matrix.sh lowest|colab|newest|locked [02-convolution ...]
#   tools/matrix.sh --python lowest|colab|newest|locked     says which Python the variant wants
#
# lowest: the lower bounds of pyproject.toml; colab: what Colab has; newest: the latest releases;
# locked: constraints.txt. Without chapters named, the unit tests run as well; Colab, which has no
# test tools, runs notebooks only. MATRIX_PYTHON names another interpreter than the variant's own.
set -euo pipefail
cd "$(dirname "$0")/.."
only_say=false
if [ "$1" = --python ]; then
  only_say=true
  shift
fi
variant=$1
shift
case $variant in
  lowest) python=3.11 options=(--resolution lowest-direct) ;;
  newest) python=3.13 options=(--upgrade) ;;
  locked) python=3.12 options=(--constraint constraints.txt) ;;
  colab) python=$(sed -n '1s/.*Python \([0-9.]*\);.*/\1/p' tools/colab-requirements.txt) ;;
  *) echo "lowest, colab, newest or locked, got $variant" >&2 && exit 2 ;;
esac
if $only_say; then
  echo "python=$python"
  exit
fi
environment=.venv-$variant
bin=$environment/bin
if ! [ -x "$bin/python" ]; then
  "${MATRIX_PYTHON:-python$python}" -m venv "$environment"
fi
wanted=$(mktemp)
if [ "$variant" = colab ]; then
  cp tools/colab-requirements.txt "$wanted"
else
  "$bin/python" -m pip install -q uv
  "$bin/uv" pip compile -q pyproject.toml requirements.txt --extra dev --python "$bin/python" \
    "${options[@]}" --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    --no-emit-package cvlab-book >"$wanted"
fi
if ! cmp -s "$wanted" "$environment/requirements.txt"; then
  "$bin/python" -m pip install -q -r "$wanted" nbclient ipykernel pyyaml
  cp "$wanted" "$environment/requirements.txt"
fi
rm "$wanted"
"$bin/python" -m tools.matrix "$variant" "$@"
if [ "$variant" != colab ] && [ $# = 0 ]; then
  "$bin/python" -m pytest -q --ignore-glob="tests/test_site*.py" --ignore=tests/test_course.py
fi
