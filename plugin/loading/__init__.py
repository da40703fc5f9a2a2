"""YouTube-VOS and DAVIS folders, and images in groups, as FiftyOne video datasets."""
