"""/v1/flows: flows that people draw, try, publish and take back."""
