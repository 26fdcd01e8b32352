# ImageNet-S, 300 of the classes
_base_ = './imagenet_s.py'
facts = dict(classes=300, test=4097)
test_dataset = dict(img_dir='imagenet-s/ImageNetS300/validation', num_classes=300)
