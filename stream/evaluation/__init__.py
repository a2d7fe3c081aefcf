"""Open-set evaluation on labelled people: degradations, searches, measures, and the report of them."""
