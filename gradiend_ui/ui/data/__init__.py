"""The data panel: which rows, words and neutral texts the numbers are measured on."""
