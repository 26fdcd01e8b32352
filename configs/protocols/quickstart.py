# The quickstart table: zero-shot CLIP, CoOp and CoOp + FVG-PT on the embedded image set
runs = dict(coop=dict(recipe='../fvgpt/coop_fvg_quickstart.py'))
