#!/usr/bin/env bash
# Everything to measure where an accelerator is at hand, in one command and one report:
#
#     benchmarks/gpu.sh [REPORT] [DEVICE]        (default: gpu-report.md, auto)
#
# Runs the tests marked gpu, then the benchmarks, each with a limit; what fails is in the report, and
# the exit status is 1. Runs on the CPU too, and then measures less. PYTHON chooses the interpreter.
set -uo pipefail
cd "$(dirname "$0")/.."
report=${1:-gpu-report.md} device=${2:-auto} python=${PYTHON:-python}
kind=$("$python" -c "from hs2s_core.devices import pick_device; print(pick_device('$device').type)") || exit 2
if [[ $kind == cpu ]]; then
    presets=(hs2s-lite hs2s/8) rounds=1 objects=(1) frames=6 authors=(--no-authors)
else
    presets=(hs2s-lite hs2s) rounds=20 objects=(1 5) frames=200 authors=()
fi
status=0

run() {
    printf '\n## %s\n\n```\n' "$*" | tee -a "$report"
    timeout 300 "$@" 2>&1 | tee -a "$report"
    local ended=${PIPESTATUS[0]}
    printf '```\n' >>"$report"
    ((ended == 0)) || { status=1; echo "FAILED with status $ended" | tee -a "$report"; }
}

printf '# Speed on %s\n' "$kind" >"$report"
run "$python" -m pytest -m gpu -q -W ignore
run "$python" benchmarks/speed.py --device "$kind" --presets "${presets[@]}" --rounds "$rounds" \
    --objects "${objects[@]}" "${authors[@]}"
run "$python" benchmarks/speed.py --device "$kind" --presets "${presets[1]}" --rounds "$rounds" \
    --options --no-authors
run "$python" benchmarks/memory.py --frames "$frames"
run "$python" benchmarks/jf.py --repeat 1
echo "report: $report"
exit $status
