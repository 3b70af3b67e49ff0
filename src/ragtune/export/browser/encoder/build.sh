#!/bin/sh
# Builds both variants; needs clang and lld of LLVM 16 or newer (Debian: clang-16 lld-16).
set -eu
cd "$(dirname "$0")"
for variant in relaxed plain; do
  flags="-msimd128"
  [ "$variant" = relaxed ] && flags="$flags -mrelaxed-simd"
  ${CLANG:-clang-16} --target=wasm32 -O3 $flags -mbulk-memory -ffreestanding -fno-builtin-memset -nostdlib -Wall -Wextra \
    -Wl,--no-entry,--export=input,--export=start,--export=run,--export=pack,--export=__heap_base,--strip-all \
    -o "$variant.wasm" encoder.c
done
