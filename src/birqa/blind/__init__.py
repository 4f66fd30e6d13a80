"""Quality of single pictures, and the denoiser that stands before it in a certificate."""
