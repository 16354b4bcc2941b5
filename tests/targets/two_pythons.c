/* Several Pythons in one process, each with its own names and on a thread of its own: `two_pythons LIBRARY...` runs
 * busy1() on the first, then a busy function on another for each line on stdin. A busy function says READY, and goes on
 * until its file (LEAVE_1, LEAVE_2 ... in the environment) is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static char** words;

static void* run(void* argument) {
  const int index = (int)(size_t)argument;
  void* library = dlopen(words[index], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  void (*initialise)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
  int (*run_text)(const char*, void*) = (int (*)(const char*, void*))dlsym(library, "PyRun_SimpleStringFlags");
  int (*finalise)(void) = (int (*)(void))dlsym(library, "Py_FinalizeEx");
  char text[512];
  snprintf(text, sizeof text,
           "import os\n"
           "def busy%d():\n"
           "    os.write(1, b'READY\\n')\n"
           "    while not os.path.exists(os.environ.get('LEAVE_%d', '')):\n"
           "        for turn in range(1000): pass\n"
           "busy%d()\n",
           index, index, index);
  initialise(0);
  if (run_text(text, NULL) != 0 || finalise() != 0) exit(1);
  return NULL;
}

int main(int count, char** arguments) {
  char line[8];
  words = arguments;
  for (int i = 1; i < count; ++i) {
    pthread_t thread;
    if (i > 1 && fgets(line, sizeof line, stdin) == NULL) return 1;
    if (pthread_create(&thread, NULL, run, (void*)(size_t)i) != 0) return 1;
  }
  return getchar() != EOF;
}
