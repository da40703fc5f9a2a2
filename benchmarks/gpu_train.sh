#!/usr/bin/env bash
# Training where an accelerator is to be had for minutes at a time, in one command:
#
#     python benchmarks/pack_data.py CONFIG --root DATA --out PACKED       (once, where the data are)
#     benchmarks/gpu_train.sh CONFIG PACKED RUN [SECONDS] [options of hs2s train ...]
#
# RUN holds the run between two calls, as run.tar.gz in pieces of 15 MB. Each call goes on from it,
# trains for SECONDS (default: 540), stops with everything saved, and writes RUN, or the folder that
# OUT names where only that comes back. Repeat it until it says that all steps are done. Runs on the
# CPU too. PYTHON chooses the interpreter.
set -euo pipefail
(($# >= 3)) || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
config=$(realpath "$1") data=$(realpath "$2") kept=$(realpath -m "$3") seconds=${4:-540}
shift $(($# > 4 ? 4 : $#))
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
to=${OUT:-$kept}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if compgen -G "$kept/run.tar.gz.*" >/dev/null; then
    cat "$kept"/run.tar.gz.* | tar -xz -C "$work"
fi
status=0
# Stopped as by Ctrl-C, hs2s train saves the step it is at.
timeout --signal=INT "$seconds" "${PYTHON:-python}" -m hs2s_core.cli train \
    --config "$config" --root "$data" --out "$work/run" "$@" || status=$?
[[ -d $work/run ]] || exit "$status"
mkdir -p "$to"
rm -f "$to"/run.tar.gz.*
tar -cz -C "$work" run | split -b 15000000 - "$to/run.tar.gz."
cp "$work"/run/*.safetensors "$to"/ 2>/dev/null || true
case $status in
    0) echo "all steps are done; the run is in $to" ;;
    124 | 130) echo "$seconds seconds are over; the run is in $to: call again to go on" ;;
    *) exit "$status" ;;
esac
