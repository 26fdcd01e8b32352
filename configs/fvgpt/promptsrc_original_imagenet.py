# PromptSRC as its authors ran it: batches of 4, 20 epochs, prompts averaged around epoch 15
# Written by tools/make_recipes.py
_base_ = './promptsrc_imagenet.py'
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=20)
