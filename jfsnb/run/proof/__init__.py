"""What proves which client served: references, images, processes, data, and a clean end."""
