# ImageNet-9, mixed-rand: the object on the background of an image of any class
_base_ = './imagenet_9.py'
test_dataset = dict(img_dir='bg_challenge/mixed_rand/val')
