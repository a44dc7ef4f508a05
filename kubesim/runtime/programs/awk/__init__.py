"""awk, as busybox has it: the language of POSIX and a few of GNU's functions."""
