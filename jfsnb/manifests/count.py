"""Reads the records of load.py back: python3 count.py DIRECTORY ACKED; one JSON line."""

import json
import sys

top, acked = sys.argv[1], int(sys.argv[2])
numbers, torn = [], 0
with open(f"{top}/records", "rb") as file:
    for line in file:
        words = line.split()
        if len(line) == 64 and line.endswith(b"\n") and len(words) == 3 and words[0].isdigit():
            numbers.append(int(words[0]))
        elif line.endswith(b"\n"):  # the last line may be under way
            torn += 1
there = set(numbers)
print(
    json.dumps(
        {
            "records": len(numbers),
            "lost": sum(number not in there for number in range(1, acked + 1)),
            "doubled": len(numbers) - len(there),
            "disordered": sum(a > b for a, b in zip(numbers, numbers[1:])),
            "torn": torn,
        }
    )
)
