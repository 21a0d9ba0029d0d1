#!/bin/sh
# Builds the gateway as it is released: the compiler is told by a profile what runs often and what hardly ever does
# (profile-guided optimisation). The profile is that of a short run of the benchmark suite.
#
#   bench/release.sh TARGET_FOLDER [BENCHMARK ARGUMENT...]
#
# TARGET_FOLDER/trained/cluster-gateway is the result. The profile is made again when sources or dependencies changed.
# With a benchmark of benches/ (hot_path) that is compiled in the same way, and run.
set -eu

target=$1
shift
host=$(rustc -vV | sed -n 's/^host: //p')
tools=$(rustc --print sysroot)/lib/rustlib/$host/bin
profile=$target/trained/profile
flags=${RUSTFLAGS:-}
sections='--section table --section throughput --section watches --section bulk --section clusters --section streams
    --section handshakes'

[ -x "$tools/llvm-profdata" ] || {
    echo "release: rustup component add llvm-tools" >&2
    rustup component add llvm-tools >&2
}

# With --target: build scripts and macros are not to be instrumented.
with() {
    folder=$1 more=$2
    shift 2
    RUSTFLAGS="$flags $more" CARGO_TARGET_DIR=$folder cargo "$@"
}
build() {
    with "$1" "$2" build --locked --release -p cluster-gateway --bin cluster-gateway --target "$host"
}

mkdir -p "$target/trained"
if [ ! -e "$profile" ] || [ -n "$(find src resident/src Cargo.toml Cargo.lock -newer "$profile" -type f 2>/dev/null)" ]; then
    counts=$target/training/counts
    build "$target/training" "-Cprofile-generate=$counts"
    rm -rf "$counts"
    echo "release: training, two minutes ..." >&2
    # What it counted it writes when it ends.
    # shellcheck disable=SC2086 # a list of words
    CLUSTER_GATEWAY_ENDS_GENTLY=1 CLUSTER_GATEWAY_BIN=$target/training/$host/release/cluster-gateway \
        "$target/release/bench" $sections --rounds 1 --out "$target/training/report" >"$target/training/log" 2>&1 || {
        tail -n 30 "$target/training/log" >&2
        exit 1
    }
    "$tools/llvm-profdata" merge -o "$profile.new" "$counts"
    mv "$profile.new" "$profile"
fi
# Functions that changed or are new have no profile; they are compiled as without one.
use="-Cprofile-use=$profile -Cllvm-args=-pgo-warn-missing-function=false"
if [ $# -gt 0 ]; then
    benchmark=$1
    shift
    with "$target/trained/build" "$use" \
        bench --locked -p cluster-gateway --bench "$benchmark" --target "$host" -- "$@"
    exit
fi
build "$target/trained/build" "$use"
cp "$target/trained/build/$host/release/cluster-gateway" "$target/trained/cluster-gateway.new"
mv "$target/trained/cluster-gateway.new" "$target/trained/cluster-gateway"
