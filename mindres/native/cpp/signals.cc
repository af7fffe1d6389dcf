// Tells a SIGTERM that the process sent to itself from one that came from outside.
//
// MindSpore installs a handler for Ctrl-C (SIGINT) whenever it runs a graph, and all that handler
// does is to send SIGTERM to its own process. Here such a SIGTERM becomes the SIGINT that it was.

#include <csignal>
#include <unistd.h>

namespace {

// Python's handler in C: it notes the signal for the interpreter.
void (*pythons_handler)(int) = nullptr;

void handle_sigterm(int, siginfo_t *info, void *) {
  struct sigaction interrupt;
  sigaction(SIGINT, nullptr, &interrupt);
  bool own = info->si_code == SI_USER && info->si_pid == getpid();
  bool passed_on = own && interrupt.sa_handler != pythons_handler;
  pythons_handler(passed_on ? SIGINT : SIGTERM);
}

}  // namespace

// To be called when Python has installed its handler of SIGTERM: puts the one above before it.
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
