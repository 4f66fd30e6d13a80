"""Quality of one picture, without a reference."""
