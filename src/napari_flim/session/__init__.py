"""What the user of one viewer has set, painted and learned. Knows neither Qt nor napari."""
