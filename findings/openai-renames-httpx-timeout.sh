#!/usr/bin/env bash
# openai 2.54.0 and httpx 0.28.1: `import openai` changes the module of the class httpx.Timeout.
#
# The SDK sets `__module__ = "openai"` on every name that it exports, and httpx.Timeout is one of
# them (openai/__init__.py, last lines). From then on a pickled httpx.Timeout names openai, and a
# process without openai cannot read it: a worker that has only httpx, for example. Code that finds
# the HTTP library by the module of a timeout's class gets the SDK instead.
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv with-openai
python3 -m venv httpx-only
with-openai/bin/pip install --quiet --disable-pip-version-check openai==2.54.0 httpx==0.28.1
httpx-only/bin/pip install --quiet --disable-pip-version-check httpx==0.28.1

with-openai/bin/python - <<'PYTHON'
import pickle
from importlib.metadata import version

import httpx

before = httpx.Timeout.__module__
import openai

print(f"openai {version('openai')}, httpx {version('httpx')}")
print(f"module of httpx.Timeout: {before} before the import of openai, {httpx.Timeout.__module__} after it")
with open("timeout.pickle", "wb") as file:
    pickle.dump(httpx.Timeout(5), file)
PYTHON

httpx-only/bin/python - <<'PYTHON'
import pickle
import sys

try:
    with open("timeout.pickle", "rb") as file:
        print("read without openai:", pickle.load(file))
except ModuleNotFoundError as error:
    print(f"read without openai: {type(error).__name__}: {error}")
else:
    sys.exit("CHANGED: a timeout that was pickled beside openai can be read without it.")
PYTHON
