#!/bin/sh
# What a build needs beside the Rust toolchain: a C++ compiler for RocksDB, and libclang with its
# headers for RocksDB's Rust binding. Installs them when it may, says exactly what to type otherwise.
set -eu

have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    for file in /usr/lib/llvm-*/lib/libclang.so* /usr/lib/llvm-*/lib/libclang-*.so* \
        /usr/lib/*/libclang*.so* /usr/local/lib/libclang*.so* /opt/homebrew/opt/llvm/lib/libclang.dylib; do
        case "$file" in *cpp*) continue ;; esac
        [ -e "$file" ] && return 0
    done
    return 1
}

missing=""
command -v cargo >/dev/null 2>&1 || {
    echo "setup: no Rust toolchain (cargo). Install it with your distribution's rustup package, then try again." >&2
    exit 2
}
command -v c++ >/dev/null 2>&1 || missing="$missing g++"
have_libclang || missing="$missing libclang-dev"
# Without clang's own headers the binding finds libclang and then no stddef.h.
ls /usr/lib/llvm-*/lib/clang/*/include/stddef.h /usr/lib/clang/*/include/stddef.h >/dev/null 2>&1 ||
    case "$missing" in *libclang-dev*) ;; *) [ "$(uname)" = Linux ] && missing="$missing libclang-dev" ;; esac

[ -z "$missing" ] && exit 0

if command -v apt-get >/dev/null 2>&1; then
    install="apt-get update -qq && apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        echo "setup: installing$missing" >&2
        sh -c "$install" >&2
        exit 0
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "setup: installing$missing (with sudo)" >&2
        sudo sh -c "$install" >&2
        exit 0
    fi
    echo "setup: missing:$missing. Type:" >&2
    echo "    sudo sh -c '$install'" >&2
else
    echo "setup: missing:$missing. Install these packages with your system's package manager, then try again." >&2
fi
exit 2
