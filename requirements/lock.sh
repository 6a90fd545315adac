#!/bin/sh
# Resolves pyproject.toml anew for every platform and Python, and writes lock.txt and pixels.txt.
# Needs `uv` on the PATH; run it as `make lock`.
set -eu
cd "$(dirname "$0")/.."
pixels='^(albucore|albumentations|imagehash|numpy|opencv-python-headless|pi-heif|pillow|pyarrow|pywavelets|scipy|simsimd|stringzilla)=='
all=$(mktemp)
uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
    --group dev pyproject.toml --quiet --output-file "$all" >/dev/null
{
    echo "# What the bytes of a manifest or a variant depend on. DVC re-runs ingest, validate and"
    echo "# augment when this file changes. Written by \`make lock\`."
    grep -E "$pixels" "$all"
} > requirements/pixels.txt
{
    echo "# The whole environment, exact. Written by \`make lock\`."
    echo "-r pixels.txt"
    grep -vE "$pixels" "$all"
} > requirements/lock.txt
rm "$all"
