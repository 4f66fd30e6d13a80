"""Making, reading and splitting of image-quality data."""
