"""What must stay equal while everything inside is moved, and how it is seen from outside."""
