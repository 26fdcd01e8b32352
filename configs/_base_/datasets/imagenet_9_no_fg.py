# ImageNet-9, no-fg: the background, the object's shape black
_base_ = './imagenet_9.py'
test_dataset = dict(img_dir='bg_challenge/no_fg/val')
