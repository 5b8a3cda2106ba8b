"""The sandbox's JuiceFS CSI driver in Mount Pod mode."""
