"""Image classification data: where the pixels come from, how a pass over them is drawn, and their Lightning wiring."""
