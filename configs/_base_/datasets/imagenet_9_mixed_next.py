# ImageNet-9, mixed-next: the object on the background of an image of the next class
_base_ = './imagenet_9.py'
test_dataset = dict(img_dir='bg_challenge/mixed_next/val')
