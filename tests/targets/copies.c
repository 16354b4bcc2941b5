/* A program that embeds a Python and names its objects, so that it has copies of them, which all use: compiled with
 * DECLARED ("a[], b[]") and USED ("a, b"); `copies TEXT` runs a text. For every Python: it needs no headers. */
#include <stddef.h>

void Py_InitializeEx(int);
int PyRun_SimpleStringFlags(const char*, void*);
extern char DECLARED;

static const void* volatile used;

int main(int count, char** words) {
  const void* const named[] = {USED};
  for (size_t i = 0; i < sizeof named / sizeof *named; ++i) used = named[i];
  Py_InitializeEx(0);
  return count != 2 || PyRun_SimpleStringFlags(words[1], NULL);
}
