"""The sandbox's node: kubelet, runtime agent, probes, images."""
