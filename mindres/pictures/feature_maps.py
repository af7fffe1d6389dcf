"""The feature maps that a stage of a network computes for one image."""

from __future__ import annotations

from mindres.evaluation.stages import feature_maps as maps_of_stage
from mindres.pictures.drawing import short, text, tiles
from mindres.pictures.sample_images import Samples

NARROWEST = 5  # inches for the title


def features(net, some: Samples, stage=None, count=64):
    """The first `count` feature maps that a stage of `net` computes for the first image.

    The title names the stage, the image's class if it is known, and the scale.
    """
    stage, maps = maps_of_stage(net, some.inputs[:1], stage)
    channels, height, width = maps[0].shape
    of_class = f" for an image of {short(some.names[0])}" if some.names else ""
    shown = min(count, channels)
    title = (
        f"{stage}{of_class}: {shown} of {channels} maps of {height}x{width}\n"
        "dark is a map's smallest value, bright its largest"
    )
    return feature_grid(maps[0][:count], title)


def feature_grid(maps, title="", columns=8):
    """Feature maps (channels, height, width), each scaled to its own range."""
    figure = tiles(maps, columns, "viridis")
    if title:
        width, height = figure.get_size_inches()
        figure.set_size_inches(max(width, NARROWEST), height + 0.6)
        figure.suptitle(title, **text(9))
    return figure
