/* Runs a program and writes what it took: measured FILE PROGRAM [ARGUMENT...] -> "CPU_SECONDS PEAK_KIB
 * SECONDS" in FILE.
 *
 * The kernel counts the memory of whoever forked into the peak of the program that is then run, so a small
 * program has to fork. INT and TERM are handed on; the exit status is the program's, 128 + N where signal N
 * ended it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void hand_on(int number) {
  if (child > 0) kill(child, number);
}

int main(int count, char** words) {
  if (count < 3) {
    fprintf(stderr, "usage: measured FILE PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  /* Both end with their parent, so that nothing is left where that is killed. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t handed;
  sigemptyset(&handed);
  sigaddset(&handed, SIGINT);
  sigaddset(&handed, SIGTERM);
  sigprocmask(SIG_BLOCK, &handed, NULL);
  const double begin = now();
  const pid_t made = fork();
  if (made == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_UNBLOCK, &handed, NULL);
    execvp(words[2], words + 2);
    perror(words[2]);
    _exit(127);
  }
  if (made < 0) {
    perror("measured: fork");
    return 1;
  }
  child = made;
  const struct sigaction action = {.sa_handler = hand_on};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigprocmask(SIG_UNBLOCK, &handed, NULL);
  int status = 0;
  struct rusage usage;
  while (wait4(made, &status, 0, &usage) < 0)
    if (errno != EINTR) return 1;
  child = 0;
  FILE* file = fopen(words[1], "w");
  if (!file) {
    perror(words[1]);
    return 1;
  }
  fprintf(file, "%.6f %ld %.6f\n",
          (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
          usage.ru_maxrss, now() - begin);
  fclose(file);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
