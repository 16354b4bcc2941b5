/* What a CPython from 3.13 on exports, of the version 3.14, with the content of a file in its runtime's place: `table FILE`. */
#include <stdio.h>
#include <unistd.h>

long PyCode_Type = 1;
unsigned Py_Version = 0x030e00f0;
char _PyRuntime[1 << 16];

int main(int count, char** words) {
  FILE* file = fopen(words[count - 1], "rb");
  if (file == NULL || fread(_PyRuntime, 1, sizeof _PyRuntime, file) == 0) return 1;
  puts("READY");
  fflush(stdout);
  pause();
  return 0;
}
