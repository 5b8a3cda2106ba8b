"""What the driver's provisioner makes of a claim and a StorageClass."""
