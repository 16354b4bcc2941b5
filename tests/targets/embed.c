/* A program that embeds Python and is called something else: `embed FILE [ARGUMENT...]` runs FILE.
 * `embed --moved FILE` runs FILE on a thread with the thread state of the first one, which names the first one.
 * `embed --before` has not initialised Python yet and `embed --after` has finalised it: they say READY and wait. */
#include <Python.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ready(void) {
  char byte;
  if (write(1, "READY\n", 6) != 6) return 1;
  return read(0, &byte, 1) != 0;
}

static PyThreadState* moved;

static void* run_file(void* path) {
  PyEval_RestoreThread(moved);
  return (void*)(size_t)PyRun_SimpleFileEx(fopen(path, "r"), path, 1);
}

static int run_on_another_thread(char* path) {
  pthread_t thread;
  Py_Initialize();
  moved = PyEval_SaveThread();
  if (pthread_create(&thread, NULL, run_file, path) != 0) return 1;
  return pthread_join(thread, NULL);
}

int main(int count, char** words) {
  if (count == 3 && strcmp(words[1], "--moved") == 0) return run_on_another_thread(words[2]);
  if (count == 2 && strcmp(words[1], "--before") == 0) return ready();
  if (count == 2 && strcmp(words[1], "--after") == 0) {
    Py_Initialize();
    return Py_FinalizeEx() != 0 || ready();
  }
  return Py_BytesMain(count, words);
}
