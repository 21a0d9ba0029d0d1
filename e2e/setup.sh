#!/bin/sh
# What a build needs besides Rust and Go: a C compiler and cmake, for libraries of the gateway written in C.
# `lint`: rustfmt and clippy as well; `test`: what tests run besides the lab's own servers; `bench`: what the benchmark
# suite compares with.
# They are installed when we may (root, apt), otherwise named in one message. Nothing is done when all is there.
set -eu

missing=
command -v cargo >/dev/null 2>&1 || missing="$missing
  Rust:        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
command -v go >/dev/null 2>&1 || [ -n "${KUBEBUILDER_ASSETS:-}" ] || missing="$missing
  Go >= 1.25:  https://go.dev/dl/ (unpack into /usr/local, /usr/local/go/bin is looked at)"
if [ -n "$missing" ]; then
    echo "Missing on this machine:$missing" >&2
    exit 1
fi

packages=
command -v cc >/dev/null 2>&1 || packages="$packages gcc libc6-dev"
command -v c++ >/dev/null 2>&1 || packages="$packages g++"
command -v cmake >/dev/null 2>&1 || packages="$packages cmake"
# cmake writes makefiles.
command -v make >/dev/null 2>&1 || packages="$packages make"
if [ "${1:-}" = test ]; then
    # With promtool.
    command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1 || packages="$packages prometheus"
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages="$packages python3 python3-venv"
fi
if [ "${1:-}" = bench ]; then
    # Where Debian puts servers, which is in root's path only.
    PATH=$PATH:/usr/sbin
    command -v nginx >/dev/null 2>&1 || packages="$packages nginx"
    command -v haproxy >/dev/null 2>&1 || packages="$packages haproxy"
fi
if [ -n "$packages" ]; then
    install="apt-get update && apt-get install -y --no-install-recommends$packages"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing$packages" >&2
        export DEBIAN_FRONTEND=noninteractive
        # Servers are installed to be run by tests, not by the machine.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap 'rm -f $policy' EXIT
            printf '#!/bin/sh\nexit 101\n' >$policy
            chmod +x $policy
        fi
        apt-get update -qq >&2
        # shellcheck disable=SC2086 # a list of words
        apt-get install -y -qq --no-install-recommends $packages >&2
    else
        echo "Missing on this machine:$packages. Type (or the like on your system):" >&2
        echo "  sudo sh -c '$install'" >&2
        echo "Servers among them are started by tests; what your system starts of them can be stopped." >&2
        exit 1
    fi
fi

# rustup's minimal profile has neither.
if [ "${1:-}" = lint ]; then
    for component in rustfmt clippy; do
        if ! cargo "$(echo $component | sed 's/rustfmt/fmt/')" --version >/dev/null 2>&1; then
            echo "setup: rustup component add $component" >&2
            rustup component add $component >&2
        fi
    done
fi
