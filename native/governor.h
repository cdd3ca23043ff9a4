// How many threads work on one class of operations. Some modules serve one caller best (a mutex
// around every call), some as many as there are cores, some as many as there are sessions: which,
// is measured. Not locked: the pool's mutex is held around every call.
//
// It compares the rates of a limit and of twice it, in turns, and goes that way while it pays; then
// it holds the limit. A hold ends after a while, or sooner when operations take another time than
// when it began: the device has become slower or faster. Going up asks for more than staying up, so
// that noise does not move the limit back and forth.

#pragma once

#include <cstdint>

namespace keyplane {

struct Limits {
  std::uint32_t min = 1;
  std::uint32_t max = 1;
};

class Governor {
 public:
  // `cores`: of this machine; 0: as many as it has.
  explicit Governor(std::uint32_t cores = 0);

  void SetLimits(Limits limits);
  std::uint32_t limit() const { return limit_; }
  // Mean time of one operation in the module, in microseconds.
  double service_us() const { return service_us_; }

  // Takes the time that `num` operations took on one thread. `cpu_ns` is 0 when it was not
  // measured.
  void Add(std::uint32_t num, std::uint64_t wall_ns, std::uint64_t cpu_ns);

  // Called every few milliseconds; `saturated` while work waits. Returns true if the limit changed.
  bool Tick(std::uint64_t now_ms, bool saturated);

 private:
  enum class Phase { kStart, kCompare, kHold };
  enum class Way { kUp, kDown };

  // What was done in a while.
  struct Window {
    double done = 0;
    double elapsed_ms = 0;
    double wall_us = 0;

    double rate() const { return done / elapsed_ms; }
    Window& operator+=(const Window& other) {
      done += other.done;
      elapsed_ms += other.elapsed_ms;
      wall_us += other.wall_us;
      return *this;
    }
  };

  // Calls use little of a core, so cores do not bound how many threads are useful.
  bool waits() const;
  // And they last long.
  bool is_distant() const;
  // So many threads keep all cores busy; more of them are useless unless calls wait.
  std::uint32_t ceiling() const;
  // Operations that were under way when the limit changed do not count.
  void Settle(std::uint64_t now_ms);
  void Judge(std::uint64_t now_ms, const Window& window);
  // Goes one way, and the other one if the first step does not pay.
  void Seek(std::uint64_t now_ms, Way way);
  void Step(std::uint64_t now_ms);
  void Compare(std::uint64_t now_ms, std::uint32_t low, std::uint32_t high);
  void Compared(std::uint64_t now_ms);
  void Hold(std::uint64_t now_ms);
  void WatchHold(std::uint64_t now_ms, double us);

  const std::uint32_t cores_;
  Limits limits_;
  std::uint32_t limit_ = 1;
  Phase phase_ = Phase::kStart;
  double service_us_ = 0;
  double cpu_share_ = 1;
  bool cpu_known_ = false;

  // 0: the next saturated tick starts it. May lie ahead.
  std::uint64_t window_start_ = 0;
  std::uint64_t done_ = 0;
  double wall_us_ = 0;

  Way way_ = Way::kUp;
  bool moved_ = false;
  bool turned_ = false;
  std::uint32_t low_ = 1;
  std::uint32_t high_ = 1;
  Window of_low_;
  Window of_high_;
  int windows_ = 0;

  std::uint64_t hold_start_ = 0;
  std::uint64_t hold_ms_ = 0;
  // Of the first window of the hold; 0 before.
  double held_us_ = 0;
  int num_changed_ = 0;
};

}  // namespace keyplane
