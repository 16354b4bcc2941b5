/* Runs a script in an interpreter of its own by the C API alone, as programs that embed Python do. */
typedef struct _ts PyThreadState;
extern PyThreadState* Py_NewInterpreter(void);
extern void Py_EndInterpreter(PyThreadState*);
extern PyThreadState* PyThreadState_Swap(PyThreadState*);
extern PyThreadState* PyThreadState_Get(void);
extern int PyRun_SimpleStringFlags(const char*, void*);

/* Called with the GIL. */
int run_in_new_interpreter(const char* script) {
  PyThreadState* const outer = PyThreadState_Get();
  PyThreadState* const inner = Py_NewInterpreter();
  int status = -1;
  if (inner != 0) {
    status = PyRun_SimpleStringFlags(script, 0);
    Py_EndInterpreter(inner);
  }
  PyThreadState_Swap(outer);
  return status;
}
