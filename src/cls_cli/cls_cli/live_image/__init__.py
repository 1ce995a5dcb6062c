"""The live image of a camera: where frames come from, and where they are shown."""
