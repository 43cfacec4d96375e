#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Checks the model of the rings' wake-ups in every interleaving, and that the model notices when they are wrong.
# Usage: ring_model_test.sh ring.pml C-COMPILER
set -eu
model=$(realpath "$1")
compiler=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# errors VARIANT...: the number of errors that the checker finds.
errors() {
  spin "$@" -a "$model" > spin.log || { cat spin.log; exit 1; }
  "$compiler" -O1 -w -o pan pan.c
  ./pan > pan.log
  sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log
}

found=$(errors)
if [ "$found" != 0 ]; then
  cat pan.log
  echo "the model of the rings loses wake-ups: $found errors"
  exit 1
fi
found=$(errors -DBROKEN)
if [ "$found" = 0 ]; then
  cat pan.log
  echo "the model does not notice a consumer that looks before it says that it sleeps"
  exit 1
fi
echo "no wake-up is lost in any interleaving"
