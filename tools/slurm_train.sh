#!/usr/bin/env bash
# [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] [PORT=29500]
# tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [options of tools/train.py]
# GPUS processes on a Slurm partition, one a GPU. Examples: docs/launchers.md
set -euo pipefail
tools=$(dirname "$0")
. "$tools/launch.bash"
need_words 3 "$0 PARTITION JOB_NAME CONFIG [WORK_DIR] [options]" "$@"
need_file config "$3"
case ${4:--} in
    -*) launch_srun "$1" "$2" "$tools/train.py" "$3" "${@:4}" ;;
    *) launch_srun "$1" "$2" "$tools/train.py" "$3" --work-dir "$4" "${@:5}" ;;
esac
