# ImageNet-S, 50 of the classes
_base_ = './imagenet_s.py'
facts = dict(classes=50, test=752)
test_dataset = dict(img_dir='imagenet-s/ImageNetS50/validation', num_classes=50)
