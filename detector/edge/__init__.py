"""What surrounds the cameras of an edge box: joining a hub, the way to it, health, and being kept alive."""
