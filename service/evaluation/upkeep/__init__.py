"""Care of the state directory: whether it is sound, copies of it, and the way back from one."""
