//! The quickstart: what a newcomer sees first must show the whole of it in one screen.
