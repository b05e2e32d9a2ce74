#!/usr/bin/env bash
# Run every chapter in an empty directory with Colab's package versions.
#
# Needs Python 3.13 (or COLAB_PYTHON=...). The environment is .venv-colab; the helper package is
# installed from this checkout, as the set-up cell would from the repository: --no-deps.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${COLAB_PYTHON:-python3.13}
if ! [ -x .venv-colab/bin/python ]; then
  "$python" -m venv .venv-colab
  .venv-colab/bin/python -m pip install -q -r tools/colab-requirements.txt
fi
.venv-colab/bin/python -m pip install -q --no-deps --force-reinstall .
export CVLAB_STRICT=1 TF_CPP_MIN_LOG_LEVEL=3
for notebook in "$PWD"/chapters/*.ipynb "$PWD"/book/exercises/source/*/*.ipynb; do
  empty=$(mktemp -d)
  echo "== ${notebook#"$PWD"/}"
  (cd "$empty" && cp "$notebook" . && "$OLDPWD/.venv-colab/bin/jupyter" execute --timeout=120 ./*.ipynb)
  rm -r "$empty"
done
