"""What is known about the JuiceFS CSI driver: pure functions on plain data, no I/O, no cluster."""
