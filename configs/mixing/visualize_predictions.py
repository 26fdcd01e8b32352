# Pictures of every 77th prediction by mmpretrain's visualizer, in
# <work-dir>/<time>/vis_data/vis_image. They have the names of their images, so if several folders
# contain the same name, the last image overwrites the others.
_base_ = '../fvgpt/coop_fvg_quickstart.py'
default_hooks = dict(
    visualization=dict(
        type='mmpretrain.VisualizationHook', enable=True, interval=77, rescale_factor=4.0
    )
)
