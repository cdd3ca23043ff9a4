// Clocks of the pool: a precise one for service times, a cheap one for deadlines.

#pragma once

#include <time.h>

#include <cstdint>

namespace keyplane {

inline std::uint64_t ReadClock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

inline std::uint64_t NowNs() { return ReadClock(CLOCK_MONOTONIC); }

// Late by up to the kernel's tick, a few milliseconds.
inline std::uint64_t CoarseNs() {
#if defined(CLOCK_MONOTONIC_COARSE)
  return ReadClock(CLOCK_MONOTONIC_COARSE);
#else
  return NowNs();
#endif
}

// Tells whether a time has come. Those of records have 32 bits of milliseconds and come round after
// 49 days, so two of them are compared by what lies between, which must be less than half of that.
inline bool HasCome(std::uint32_t time_ms, std::uint32_t now_ms) {
  return static_cast<std::int32_t>(now_ms - time_ms) >= 0;
}

inline std::uint64_t ThreadCpuNs() { return ReadClock(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace keyplane
