# ImageNet-9, only-bg-t: the background, the object's box filled with other background
_base_ = './imagenet_9.py'
test_dataset = dict(img_dir='bg_challenge/only_bg_t/val')
