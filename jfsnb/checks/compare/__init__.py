"""Old client against new: what measurements show, and what they do not."""
