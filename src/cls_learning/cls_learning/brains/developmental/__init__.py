"""The brain `developmental`: an autoencoder of pictures and a predictor of its tokens learn together, awake."""
