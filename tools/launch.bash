# Sourced by the launchers beside it: what they share. Wrong use is one line and exit code 2, before anything starts.

fail() {
    echo "error: $1" >&2
    exit 2
}

need_words() {  # NUMBER USAGE WORDS... : fewer than NUMBER words give the usage
    if [ $(($# - 2)) -lt "$1" ]; then
        echo "usage: $2" >&2
        exit 2
    fi
}

need_file() {  # WHAT PATH
    [ -f "$2" ] || fail "there is no $1 $2"
}

need_count() {  # NAME VALUE [LEAST]
    [[ $2 =~ ^(0|[1-9][0-9]*)$ ]] && [ "$2" -ge "${3:-1}" ] || fail "$1 must be a whole number from ${3:-1} on, not '$2'"
}

launch_torchrun() {  # GPUS COMMAND... : one process a GPU, on this node as one of NNODES
    local nodes=${NNODES:-1} rank=${NODE_RANK:-0} port=${PORT:-29500} meeting
    need_count GPUS "$1"
    need_count NNODES "$nodes"
    if [ -n "${RDZV_ENDPOINT:-}" ]; then
        meeting=(--rdzv_backend=c10d --rdzv_endpoint="$RDZV_ENDPOINT" --rdzv_id="${RDZV_ID:-fvgpt}")
    else
        need_count NODE_RANK "$rank" 0
        need_count PORT "$port"
        [ "$rank" -lt "$nodes" ] || fail "NODE_RANK must be below NNODES, $nodes, not $rank"
        [ "$nodes" = 1 ] || [ -n "${MASTER_ADDR:-}" ] || fail "NNODES is $nodes: set MASTER_ADDR to the address of node 0, on all nodes"
        meeting=(--node_rank="$rank" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$port")
    fi
    exec "${PYTHON:-python}" -m torch.distributed.run --nnodes="$nodes" --nproc_per_node="$1" "${meeting[@]}" "${@:2}" \
        --launcher pytorch
}

launch_srun() {  # PARTITION JOB_NAME COMMAND... : GPUS processes, GPUS_PER_NODE on a node
    local gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8} cpus=${CPUS_PER_TASK:-5}
    need_count GPUS "$gpus"
    need_count GPUS_PER_NODE "$per_node"
    need_count CPUS_PER_TASK "$cpus"
    per_node=$((gpus < per_node ? gpus : per_node))
    command -v srun > /dev/null || fail "srun is not in PATH; Slurm starts these runs (without it: tools/dist_*.sh)"
    export MASTER_PORT="${PORT:-${MASTER_PORT:-29500}}"
    # shellcheck disable=SC2086  # SRUN_ARGS are several words
    exec srun --partition="$1" --job-name="$2" --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
        --cpus-per-task="$cpus" --kill-on-bad-exit=1 ${SRUN_ARGS:-} "${PYTHON:-python}" -u "${@:3}" --launcher slurm
}
