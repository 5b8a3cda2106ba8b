"""The CSI controller: volumes made, resized and removed."""
