# Waterbirds: 16 images of landbirds and of waterbirds, most of them on their usual background;
# accuracy over all test images and of the worst of the four groups (bird x place)
title = 'Waterbirds'
tuners = ['coop', 'kgcoop', 'promptsrc', 'mmrl']
datasets = ['waterbirds']
columns = ['all', 'all_groups', 'all_worst']
