#!/usr/bin/env bash
# Builds the components that the hosts are tested against: target/guests/*.wasm. All that it says goes to stderr.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

scripts/cargo build --quiet --package componentize >&2

use_wasm_rust
built=${CARGO_TARGET_DIR:-target}
mkdir -p target/guests
for guest in counter-source; do
    cargo build --quiet --locked --package "$guest" --profile component --target "$wasm_target" "${wasm_std[@]}" >&2
    "$built/debug/componentize" "$built/$wasm_target/component/${guest//-/_}.wasm" "target/guests/$guest.wasm" >&2
done
