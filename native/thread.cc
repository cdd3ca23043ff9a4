#include <pthread.h>
#include <signal.h>

#include <initializer_list>
#include <memory>
#include <utility>

#include "pool.h"

namespace keyplane {
namespace {

// Enough for the modules tried; sanitizers want more.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStackLen = 2 << 20;
#else
constexpr std::size_t kStackLen = 256 << 10;
#endif

struct ThreadStart {
  std::shared_ptr<Pool> pool;
  std::function<void()> body;
};

void* RunBody(void* argument) {
  std::unique_ptr<ThreadStart> start(static_cast<ThreadStart*>(argument));
  start->body();
  return nullptr;
}

}  // namespace

bool Pool::StartThread(std::function<void()> body) {
  auto start = std::make_unique<ThreadStart>(ThreadStart{shared_from_this(), std::move(body)});
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackLen);
  // Signals are Node's to handle, but for those that a fault of this thread raises.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
    sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, &attributes, RunBody, start.get()) == 0;
  if (started) start.release();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}

}  // namespace keyplane
