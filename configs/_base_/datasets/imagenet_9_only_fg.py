# ImageNet-9, only-fg: the object on black
_base_ = './imagenet_9.py'
test_dataset = dict(img_dir='bg_challenge/only_fg/val')
