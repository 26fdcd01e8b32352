#!/usr/bin/env bash
# tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# One process a GPU, or CPU processes where there is no GPU. Several nodes, each with this command: NNODES, and either NODE_RANK,
# MASTER_ADDR and PORT, or RDZV_ENDPOINT=HOST:PORT. Examples: docs/launchers.md
set -euo pipefail
tools=$(dirname "$0")
. "$tools/launch.bash"
need_words 2 "$0 CONFIG GPUS [options]" "$@"
need_file config "$1"
launch_torchrun "$2" "$tools/train.py" "$1" "${@:3}"
