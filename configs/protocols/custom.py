# Does it help on your images? Zero-shot CLIP, the tuner and FVG-PT on all their classes
# (docs/own_data.md)
title = 'Own images'
tuners = ['coop']
datasets = ['custom']
columns = ['all']
