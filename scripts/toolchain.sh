# Finds Rust, and sets it up where it is missing. To be sourced by bash, from the root of the project.
#
#   use_rust       puts a Rust that is new enough first in PATH
#   use_wasm_rust  the same, and it can build for wasm32-unknown-unknown: `wasm_std` holds the flags that it takes

wasm_target=wasm32-unknown-unknown
debian_rust=(rustc-web cargo-web rust-web-src rust-web-llvm gcc libc6-dev)
rust_version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

say() { printf '%s\n' "$*" >&2; }

# Is the first Rust in PATH new enough? With rustup this also installs what rust-toolchain.toml asks for.
rust_is_new_enough() {
    local found
    found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) && cargo --version >/dev/null 2>&1 || return 1
    [ "$(printf '%s\n' "$rust_version" "$found" | sort -V | head -n 1)" = "$rust_version" ]
}

# A machine that cannot fetch the pinned toolchain may have a newer one.
rustup_default_is_new_enough() {
    command -v rustup >/dev/null || return 1
    export RUSTUP_TOOLCHAIN=stable
    rust_is_new_enough && return
    unset RUSTUP_TOOLCHAIN
    return 1
}

# Installs Debian packages where that is possible; says why not where it is not.
install_debian() {
    command -v apt-get >/dev/null || return 1
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || return 1
        root=(sudo)
        [ -t 0 ] || root=(sudo -n)
    fi
    say "installing with apt-get: $*"
    {
        "${root[@]}" apt-get update -qq &&
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
    } </dev/null >&2
}

use_debian_rust() {
    rust_is_debians=yes
    export PATH="/usr/bin:$PATH"
    unset RUSTUP_TOOLCHAIN
    hash -r
    if ! { [ -x /usr/bin/cargo ] && rust_is_new_enough && std_source_is_there; }; then
        install_debian "${debian_rust[@]}" && hash -r && rust_is_new_enough || return
    fi
    # rust-web-llvm has the linker's name only, a link to the program of another package of that name.
    [ -x /usr/bin/rust-lld ] || install_debian "$(basename "$(readlink /usr/bin/rust-lld)")"
}

wasm_std_is_there() {
    compgen -G "$(rustc --print target-libdir --target "$wasm_target" 2>/dev/null)/libstd-*.rlib" >/dev/null
}

std_source_is_there() { [ -f "$(rustc --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml" ]; }

wasm_linker_is_there() {
    command -v rust-lld >/dev/null || compgen -G "$(rustc --print sysroot)/lib/rustlib/*/bin/rust-lld" >/dev/null
}

use_rust() {
    rust_is_new_enough || rustup_default_is_new_enough || use_debian_rust || {
        say "error: no Rust $rust_version or newer here, and none could be installed: install rustup, or as root on Debian run" \
            "'apt-get install ${debian_rust[*]}', then start again."
        return 1
    }
}

use_wasm_rust() {
    use_rust || return
    wasm_std=()
    wasm_std_is_there && return
    if command -v rustup >/dev/null && [ -z "${rust_is_debians-}" ]; then
        say "adding the target $wasm_target with rustup"
        rustup target add "$wasm_target" </dev/null >&2 && wasm_std_is_there && return
    fi
    # Without a ready-made standard library it is built from source, which only a nightly Rust does unless told so.
    { std_source_is_there && wasm_linker_is_there; } || { use_debian_rust && std_source_is_there; } || {
        say "error: this Rust cannot build for $wasm_target: run 'rustup target add $wasm_target', or as root on Debian" \
            "'apt-get install ${debian_rust[*]}', then start again."
        return 1
    }
    export RUSTC_BOOTSTRAP=1
    wasm_std=(-Zbuild-std=std,panic_abort)
}
