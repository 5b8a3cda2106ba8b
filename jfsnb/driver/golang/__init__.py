"""How Go reads and writes plain values: what the driver takes for a duration, a size, a number or a path."""
