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

inline std::uint64_t ThreadCpuNs() { return ReadClock(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace keyplane
