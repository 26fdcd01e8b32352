#!/usr/bin/env bash
# [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] [PORT=29500]
# tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
# GPUS processes on a Slurm partition, one a GPU. Examples: docs/launchers.md
set -euo pipefail
tools=$(dirname "$0")
. "$tools/launch.bash"
need_words 4 "$0 PARTITION JOB_NAME CONFIG CHECKPOINT [options]" "$@"
need_file config "$3"
need_file checkpoint "$4"
launch_srun "$1" "$2" "$tools/test.py" "$3" "$4" "${@:5}"
