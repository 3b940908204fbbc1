#!/bin/sh
# Fuzzes the image reader, the zip reader, the parsers of manifests and of signatures for SECONDS in
# all. Fails if there is a finding, which it leaves in BUILD/findings.
# usage: run_fuzz.sh SECONDS [BUILD]
set -eu
seconds=${1:?usage: run_fuzz.sh SECONDS [BUILD]}
source=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
build=${2:-$source/build-fuzz}

if [ ! -f "$build/build.ninja" ]; then
  CXX=${CXX:-clang++-16} meson setup "$build" "$source" -Dfuzz=true -Druntime=false \
    -Db_pch=false -Db_lundef=false
fi
ninja -C "$build" tests/fuzz/image_fuzz tests/fuzz/manifest_fuzz tests/fuzz/zip_fuzz \
  tests/fuzz/trust_fuzz tests/fuzz/make_seeds
build=$(CDPATH='' cd -- "$build" && pwd)
corpus=$build/corpus
mkdir -p "$corpus/image" "$corpus/manifest" "$corpus/zip" "$corpus/trust" "$build/findings"
"$build/tests/fuzz/make_seeds" "$corpus/image" "$corpus/manifest" "$corpus/zip" "$corpus/trust"

# A tenth of the time is enough for manifests, and for signatures; archives get two fifths.
manifest=$(((seconds + 9) / 10))
trust=$manifest
zip=$((seconds * 2 / 5))
run() {
  name=$1 time=$2
  shift 2
  echo "fuzz: $name for $time s"
  "$build/tests/fuzz/${name}_fuzz" "$build/corpus/$name" -max_total_time="$time" \
    -timeout=5 -rss_limit_mb=512 \
    -artifact_prefix="$build/findings/" -print_final_stats=1 -print_funcs=0 -verbosity=0 "$@"
}
run manifest "$manifest" -max_len=4096
run trust "$trust" -max_len=8192
run zip "$zip" -max_len=16384 -dict="$source/tests/fuzz/zip.dict"
run image "$((seconds - manifest - trust - zip))" -max_len=131072
echo "fuzz: no finding in $seconds s"
