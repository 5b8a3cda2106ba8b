"""What a person looks at: tables, diagrams, progress; no decisions here."""
