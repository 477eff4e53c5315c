//! Templates: minijinja stops here. Strict: an undefined name is an error with its place in the text.
