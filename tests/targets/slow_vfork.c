/* What CPython's subprocess does while a program is slow to start: the caller sits in vfork, holding the GIL. */
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int slow_vfork(int milliseconds) {
  const struct timespec pause = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
  const pid_t child = vfork();
  if (child == 0) {
    nanosleep(&pause, 0);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}
