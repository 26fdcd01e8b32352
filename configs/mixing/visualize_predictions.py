# Pictures of every 77th prediction by mmpretrain's visualizer, below <work-dir>/<time>/vis_data/vis_image. They are named like
# their images, so of images with one name in several folders the last is kept.
_base_ = '../fvgpt/coop_fvg_quickstart.py'
default_hooks = dict(
    visualization=dict(
        type='mmpretrain.VisualizationHook', enable=True, interval=77, rescale_factor=4.0
    )
)
