#!/usr/bin/env bash
# Tries again what attackers have tried: runs every test that docs/THREATS.md names under "What attackers have tried",
# clock jumps included. With --list it only says which: as `module::test` those of tests/it/, as `::test` those of src/.
set -euo pipefail
cd "$(dirname "$0")/.."

names=$(sed -n '/^## What attackers have tried$/,/^## /p' docs/THREATS.md |
  grep -o '`[a-z0-9_/]*\.rs::[a-z0-9_]*`' | tr -d '`' |
  sed -e 's|^tests/it/\(.*\)\.rs::|\1::|' -e 's|^src/.*\.rs::|::|' | sort -u)
if [ "${1:-}" = --list ]; then
  echo "$names"
else
  # shellcheck disable=SC2086
  cargo test --lib --test it --test skipped -- $names
fi
