#!/bin/sh
# Fuzzes the image reader and the manifest parser for SECONDS in all. Fails if there is a finding, which it leaves in
# BUILD/findings.
# usage: run_fuzz.sh SECONDS [BUILD]
set -eu
seconds=${1:?usage: run_fuzz.sh SECONDS [BUILD]}
source=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
build=${2:-$source/build-fuzz}

if [ ! -f "$build/build.ninja" ]; then
  CXX=${CXX:-clang++-16} meson setup "$build" "$source" -Dfuzz=true -Druntime=false -Db_pch=false
fi
ninja -C "$build" tests/fuzz/image_fuzz tests/fuzz/manifest_fuzz tests/fuzz/make_seeds
build=$(CDPATH='' cd -- "$build" && pwd)
mkdir -p "$build/corpus/image" "$build/corpus/manifest" "$build/findings"
"$build/tests/fuzz/make_seeds" "$build/corpus/image" "$build/corpus/manifest"

# A tenth of the time is enough for the manifest.
manifest=$(((seconds + 9) / 10))
run() {
  echo "fuzz: $1 for $2 s"
  "$build/tests/fuzz/${1}_fuzz" "$build/corpus/$1" -max_total_time="$2" -timeout=5 -rss_limit_mb=512 \
    -artifact_prefix="$build/findings/" -print_final_stats=1 -print_funcs=0 -verbosity=0 "$3"
}
run manifest "$manifest" -max_len=4096
run image "$((seconds - manifest))" -max_len=131072
echo "fuzz: no finding in $seconds s"
