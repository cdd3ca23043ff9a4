// A clean end of the process while threads are inside a module. Modules and their libcrypto clean
// up in handlers of exit(), and a thread that is in them then crashes; Node runs no hook of an
// addon before that on process.exit. So a handler of our own, registered after each C_Initialize
// and thus run before theirs, lets the threads finish their calls and never start another.

#pragma once

#include <atomic>

namespace keyplane {

// Registers the handler once more and keeps this library in memory for good: threads outlive the
// environment that loaded it.
void WatchExit();

// Tells the handler whether a thread may be inside a module. One per thread; lives as long as it.
class ThreadMark {
 public:
  ThreadMark();
  ~ThreadMark();
  ThreadMark(const ThreadMark&) = delete;
  ThreadMark& operator=(const ThreadMark&) = delete;

  // Call before a thread goes into a module. Never returns once the process exits.
  void Enter() {
    inside_.store(true);
    if (exiting_.load()) Park();
  }
  void Leave() {
    inside_.store(false, std::memory_order_release);
    if (exiting_.load(std::memory_order_relaxed)) Park();
  }
  bool inside() const { return inside_.load(); }

  static bool exiting() { return exiting_.load(std::memory_order_relaxed); }

 private:
  friend void BeginExit();

  [[noreturn]] void Park();

  static std::atomic<bool> exiting_;
  std::atomic<bool> inside_ = false;
};

// Spans a stay in a module.
class InModule {
 public:
  explicit InModule(ThreadMark& mark) : mark_(mark) { mark_.Enter(); }
  ~InModule() { mark_.Leave(); }
  InModule(const InModule&) = delete;
  InModule& operator=(const InModule&) = delete;

 private:
  ThreadMark& mark_;
};

}  // namespace keyplane
