"""Which offers make a picture, in what order, at what price, and what follows a failure. Pure but for the circuits' memory."""
