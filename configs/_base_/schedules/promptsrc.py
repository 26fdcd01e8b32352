# PromptSRC in FVG-PT's settings: SGD .0025, batches of 32, 10 epochs, prompts averaged with weights
# around epoch 15, so that the last epoch dominates; the original has batches of 4 and 20 epochs
_base_ = './sgd_10e.py'
optim_wrapper = dict(optimizer=dict(lr=0.0025))
aggregation = dict(type='GaussianPromptAggregationHook', mean=15, std=1)
