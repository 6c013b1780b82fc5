"""Reading and writing files: images, results, markers, architectures and LIDS models."""
