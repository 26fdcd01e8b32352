# features_controls.py on a file with other names:
# --cfg-options feature_file=coco_objects.safetensors
_base_ = ['./features_controls.py', '../_base_/feature_names/coco_objects.py']
