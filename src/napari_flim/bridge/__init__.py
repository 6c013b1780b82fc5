"""The only room that knows napari."""
