// Distinguishes a SIGTERM that the process sent to itself from one that came from outside.
//
// MindSpore installs a handler for Ctrl-C (SIGINT) whenever it runs a graph. That handler only sends
// SIGTERM to its own process. Here such a SIGTERM becomes SIGINT again.

#include <csignal>
#include <unistd.h>

namespace {

// Python's C handler, which records the signal for the interpreter.
void (*pythons_handler)(int) = nullptr;

void handle_sigterm(int, siginfo_t *info, void *) {
  struct sigaction interrupt;
  sigaction(SIGINT, nullptr, &interrupt);
  bool own = info->si_code == SI_USER && info->si_pid == getpid();
  bool passed_on = own && interrupt.sa_handler != pythons_handler;
  pythons_handler(passed_on ? SIGINT : SIGTERM);
}

}  // namespace

// Installs the handler above in front of Python's, which must be the handler of SIGTERM.
extern "C" void mindres_see_senders() {
  struct sigaction action;
  sigaction(SIGTERM, nullptr, &action);
  if (action.sa_sigaction == handle_sigterm)
    return;
  pythons_handler = action.sa_handler;
  action.sa_sigaction = handle_sigterm;
  action.sa_flags |= SA_SIGINFO;
  sigaction(SIGTERM, &action, nullptr);
}
