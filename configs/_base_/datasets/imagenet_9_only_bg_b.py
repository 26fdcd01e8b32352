# ImageNet-9, only-bg-b: the background, the object's box black
_base_ = './imagenet_9.py'
test_dataset = dict(img_dir='bg_challenge/only_bg_b/val')
