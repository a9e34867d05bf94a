"""What people say of scored images, learnt: a run becomes a new version of itself."""
