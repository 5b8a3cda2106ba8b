"""The CSI node: publishing volumes and looking after Mount Pods."""
