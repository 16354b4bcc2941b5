/* What coroutine libraries and foreign runtimes do: a thread computes on a stack that it was not made with. */
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Goes on where `to` was left, and leaves this stack in `from`. */
void hop(void** from, void* to);
__asm__(".text\n.globl hop\n.type hop, @function\nhop:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static void *own, *other;
static void (*python)(void);

static void run_on_other(void (*body)(void)) {
  const size_t size = 1 << 20;
  char* stack = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void** top = (void**)(stack + size);
  *--top = 0; /* whom the body would return to */
  *--top = (void*)body;
  for (int registers = 6; registers > 0; --registers) *--top = 0;
  hop(&own, top);
}

static void spin_on(void) {
  for (volatile int forever = 1; forever;) {
  }
}
static void wait_on(void) {
  for (;;) pause();
}
static void call_python(void) { python(); }

/* C computes there. */
void burn(void) { run_on_other(spin_on); }
/* C sleeps there. */
void block(void) { run_on_other(wait_on); }
/* Python runs there. */
void call(void (*function)(void)) {
  python = function;
  run_on_other(call_python);
}
/* Python has called leave() there, and C computes on the thread's own stack. */
void call_and_burn(void (*function)(void)) {
  call(function);
  spin_on();
}
void leave(void) { hop(&other, own); }
