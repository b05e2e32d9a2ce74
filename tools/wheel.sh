#!/usr/bin/env bash
# Build the wheel of cvlab into dist/ and try it as a stranger would: in a fresh environment and an
# empty directory, load the bundled network and run chapter 02. Notes of the release: dist/notes.md.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
if [ "${GITHUB_REF_TYPE:-}" = tag ] && [ "$GITHUB_REF_NAME" != "v$version" ]; then
  echo "the tag $GITHUB_REF_NAME must be v$version, as pyproject.toml says" >&2
  exit 1
fi
rm -rf dist
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"${PYTHON:-python3}" -m venv "$directory/venv"
bin=$directory/venv/bin
"$bin/python" -m pip wheel -q --no-deps --wheel-dir dist .
wheel=$root/dist/cvlab_book-$version-py3-none-any.whl
"$bin/python" -m pip install -q "$wheel[tf]" nbclient ipykernel
mkdir "$directory/empty"
cd "$directory/empty"
export CVLAB_STRICT=1 CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=3
"$bin/python" -c 'import cvlab, cvlab.networks as n; cvlab.check_versions(); n.efficientnet_lite0()'
cp "$root/chapters/02-convolution.ipynb" .
"$bin/jupyter" execute --timeout=120 02-convolution.ipynb
cd "$root"
# Links between pages of the site mean nothing in the notes: their text stays.
sed -n "/^## $version /,/^## /{/^## /d;s/\[\([^]]*\)\]([^)]*)/\1/g;p;}" book/changes.md >dist/notes.md
grep -q '[a-z]' dist/notes.md || { echo "book/changes.md says nothing about $version" >&2; exit 1; }
echo "$wheel passed"
