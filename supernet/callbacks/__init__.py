"""Lightning callbacks: what a run shows and keeps."""
