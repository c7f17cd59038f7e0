"""The page and phone app around the winner: made as one folder, served, checked."""
