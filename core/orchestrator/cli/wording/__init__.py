"""The words for people: codes, sentences, events and exchanges as text."""
