"""How good a segmentation is: overlap, saliency measures, instances, and their means."""
