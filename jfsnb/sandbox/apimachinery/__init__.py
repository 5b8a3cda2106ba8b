"""What API server, controllers, kubelet and CSI driver share: client, queue, quantities, selectors."""
