#!/usr/bin/env bash
# tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# One process a GPU, or CPU processes where there is no GPU. Several nodes: see tools/dist_train.sh. Examples: docs/launchers.md
set -euo pipefail
tools=$(dirname "$0")
. "$tools/launch.bash"
need_words 3 "$0 CONFIG CHECKPOINT GPUS [options]" "$@"
need_file config "$1"
need_file checkpoint "$2"
launch_torchrun "$3" "$tools/test.py" "$1" "$2" "${@:4}"
