# What the adapters read (raw or unit features, decision O10) and how their residual starts (decision O8); the default start,
# zero, is the full row of quickstart_ablation.py
runs = {
    f'{source} {start}': dict(
        recipe='../fvgpt/coop_fvg_quickstart.py',
        options={
            'model.compensation.type': 'ForegroundDistillationCompensation',
            'model.compensation.adapter_input': source,
            'model.compensation.residual_init': start
        })
    for source in ('raw', 'unit') for start in ('small_weight', 'layer_scale')
}
