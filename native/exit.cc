#include "exit.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace keyplane {
namespace {

constexpr auto kExitGrace = std::chrono::milliseconds(500);
constexpr auto kPoll = std::chrono::milliseconds(1);

struct Marks {
  std::mutex mutex;
  std::vector<const ThreadMark*> all;
};

// Never destroyed: threads use it until the process is gone.
Marks& AllMarks() {
  static auto& marks = *new Marks;
  return marks;
}

bool AnyInside() {
  Marks& marks = AllMarks();
  std::lock_guard lock(marks.mutex);
  return std::any_of(marks.all.begin(), marks.all.end(),
                     [](const ThreadMark* mark) { return mark->inside(); });
}

}  // namespace

std::atomic<bool> ThreadMark::exiting_ = false;

ThreadMark::ThreadMark() {
  Marks& marks = AllMarks();
  std::lock_guard lock(marks.mutex);
  marks.all.push_back(this);
}

ThreadMark::~ThreadMark() {
  Marks& marks = AllMarks();
  std::lock_guard lock(marks.mutex);
  std::erase(marks.all, this);
}

void ThreadMark::Park() {
  inside_.store(false);
  // Not an exit of the thread: that would run the thread's destructors in a libcrypto that is
  // going.
  for (;;) pause();
}

void BeginExit() { ThreadMark::exiting_.store(true); }

namespace {

void EndCalls(int status) {
  BeginExit();
  const auto deadline = std::chrono::steady_clock::now() + kExitGrace;
  while (AnyInside()) {
    // A call hangs: the handlers that follow could only crash.
    if (std::chrono::steady_clock::now() > deadline) _exit(status);
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace

void WatchExit() {
  static const bool pinned = [] {
    Dl_info self{};
    return dladdr(reinterpret_cast<void*>(&AllMarks), &self) != 0 &&
           dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE) != nullptr;
  }();
  // Without the pin the handler could outlive its code.
  if (!pinned) return;
#if defined(__GLIBC__)
  on_exit([](int status, void*) { EndCalls(status); }, nullptr);
#else
  // The status is not told here; it matters only when a call hangs.
  std::atexit([] { EndCalls(EXIT_FAILURE); });
#endif
}

}  // namespace keyplane
