# ImageNet-9, mixed-same: the object on the background of another image of its class
_base_ = './imagenet_9.py'
test_dataset = dict(img_dir='bg_challenge/mixed_same/val')
