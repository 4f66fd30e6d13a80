"""The shape of the feature pyramid: what the features give and the network takes. Free of torch."""

# Pixels that the features' 11x11 window needs around each output pixel.
HALO = 5
# Channels of the feature tensor, in order, by feature.
CHANNELS = {"ssim": 1, "information": 2, "colour": 3, "lbp": 1}
MAPS = sum(CHANNELS.values())
MINIMUM_SIDE = 32
