"""Speed, against what the disk allows and against peers, measured through the public face alone."""
