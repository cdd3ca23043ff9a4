// How many threads work on one class of operations. Some modules serve one caller best (a mutex
// around every call), some as many as there are cores, some as many as there are sessions: which,
// is measured. Not locked: the pool's mutex is held around every call.

#pragma once

#include <cstdint>

namespace keyplane {

struct Limits {
  std::uint32_t min = 1;
  std::uint32_t max = 1;
};

class Governor {
 public:
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
  enum class Phase { kObserve, kGrow, kCompare, kHold };

  // Threads that mostly wait for the device, so that cores don't bound how many are useful.
  bool waits() const;
  std::uint32_t ceiling() const;
  void Compare(std::uint32_t low, std::uint32_t high);
  void Hold(std::uint64_t now_ms);
  void Judge(std::uint64_t now_ms, double rate);

  Limits limits_;
  std::uint32_t limit_ = 1;
  Phase phase_ = Phase::kObserve;
  double service_us_ = 0;
  double cpu_share_ = 1;
  bool cpu_known_ = false;

  std::uint64_t window_start_ = 0;
  std::uint64_t done_ = 0;
  bool saturated_ = false;

  double last_rate_ = 0;
  std::uint32_t low_ = 1;
  std::uint32_t high_ = 1;
  double low_rate_ = 0;
  double high_rate_ = 0;
  int windows_ = 0;
  std::uint64_t hold_until_ = 0;
  std::uint64_t hold_ms_ = 0;
  bool look_down_ = false;
};

}  // namespace keyplane
