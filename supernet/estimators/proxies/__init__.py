"""Training-free scores, one file each: what an untrained network says about the accuracy it will have."""
