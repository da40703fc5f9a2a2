"""Pictures and masks on disk: frames in, MP4 and id maps out."""

from hs2s_core.media.frames import FrameSource, ImageFrames, VideoFrames, open_frames
from hs2s_core.media.images import (
    IMAGE_SUFFIXES,
    RGBImage,
    image_size,
    list_images,
    natural_key,
    read_image,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "FrameSource",
    "ImageFrames",
    "RGBImage",
    "VideoFrames",
    "image_size",
    "list_images",
    "natural_key",
    "open_frames",
    "read_image",
]
