"""What is made of the repository for others, and the checks of it: the image's layout, the bill of materials, licences. No part of the gateway."""
