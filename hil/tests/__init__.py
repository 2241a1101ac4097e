"""Real firmware on real hardware, for each device of the rig file."""
