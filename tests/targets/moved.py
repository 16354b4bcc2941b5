"""Two alternating call chains, for a program that runs them on another thread than their thread state names."""
import os

DEPTH = 20
chains = {}
for letter in "ab":
    lines = []
    for level in range(1, DEPTH + 1):
        call = "%s%d(y)" % (letter, level + 1) if level < DEPTH else "y"
        lines += ["def %s%d(x):" % (letter, level), "    y = x + 1", "    return " + call]
    exec(compile("\n".join(lines), letter + ".py", "exec"), chains)
a1, b1 = chains["a1"], chains["b1"]
os.write(1, b"READY\n")
while True:
    a1(1)
    b1(1)
