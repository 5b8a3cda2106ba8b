"""What a notebook cell meets: opening a run, pictures, questions, exercises. Puts steps and views together."""
